# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on the bus.  The class docstring is the default message."""


class BusError(Exception):
    """The bus could not do what was asked."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").partition("\n\n")[0])


class NotFound(BusError):
    """No such service, or no such exposed method, is on the bus.

    Raised at once, never after a wait.  Nothing was done.
    """


class NameTaken(BusError):
    """A service of this name is on the bus already."""


class Overloaded(BusError):
    """The service's inbox is full; try again later.  Nothing was done."""


class NotPortable(BusError):
    """A value cannot travel between processes: use plain data, row values or classes marked ``@portable``."""


class Timeout(BusError):
    """No answer came before the deadline.  It is unknown whether the call was carried out."""


class PeerLost(Timeout):
    """The service's process vanished during the call.  It is unknown whether the call was carried out."""


class RemoteError(BusError):
    """The service's method raised an error of a class that does not travel.

    :ivar error_type: the name of that class, such as ``"KeyError"``.
    :ivar error_text: its message.
    """

    def __init__(self, error_type: str = "Exception", error_text: str = "") -> None:
        super().__init__(f"{error_type}: {error_text}" if error_text else error_type)
        self.error_type = error_type
        self.error_text = error_text
