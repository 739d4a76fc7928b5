def measure(folder):
    return []
