"""Linear congruential generators: x -> (a x + c) mod m."""


def state_after(steps, x, a, c, m):
    """The state after so many steps from x, in a logarithm of the steps: the step is composed with itself by squaring."""
    while steps:
        if steps & 1:
            x = (a * x + c) % m
        a, c = a * a % m, (a * c + c) % m
        steps >>= 1
    return x
