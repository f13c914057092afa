def energy(theta):
    return theta * theta - 1
