"""What may go wrong in the lab."""


class LabError(Exception):
    """The lab does not fit the program, or a packet did not come out where it must."""
