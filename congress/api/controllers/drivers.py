# SPDX-License-Identifier: Apache-2.0
"""The drivers that are installed."""

from typing import Any, Final

from congress.api.answers.services import DRIVER, DRIVER_DETAILS
from congress.api.call import Call
from congress.api.names import MANAGER
from congress.api.paging import Listing
from congress.api.routing import route

_DRIVERS: Final = Listing(DRIVER)


class DriversController:
    """``/v1/system/drivers``: what is installed for cloud services to run on."""

    @route("GET", "/v1/system/drivers", "List drivers", **_DRIVERS.declared)
    def list_drivers(self, call: Call) -> Any:
        return _DRIVERS.page(call, call.backend.call(MANAGER, "list_drivers"))

    @route(
        "GET",
        "/v1/system/drivers/{driver}",
        "Show a driver: its options, its tables",
        answer=DRIVER_DETAILS,
        errors=(404,),
    )
    def get_driver(self, call: Call, driver: str) -> Any:
        return call.backend.call(MANAGER, "get_driver", driver=driver)
