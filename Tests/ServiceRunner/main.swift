import ArgumentParser
import TestServices

print("no service yet")
