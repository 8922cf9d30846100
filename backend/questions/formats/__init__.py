"""Question files of the formats that are in use: one table of readers for uploads, the hub and the command line."""
