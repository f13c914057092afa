"""Print a line."""

print("first line")
