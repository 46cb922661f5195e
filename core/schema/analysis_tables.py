"""What analysis keeps beside what platforms told: totals made from it, decisions of people about it, and who was forgotten.

Everything here but decisions and the forgotten can be made again from the other tables.
"""
