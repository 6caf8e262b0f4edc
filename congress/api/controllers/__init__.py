# SPDX-License-Identifier: Apache-2.0
"""The controllers of the API, one module a resource."""

from typing import Final

from congress.api.controllers.drivers import DriversController
from congress.api.controllers.executions import ExecutionsController, ExecutionSetsController
from congress.api.controllers.guards import BreakersController, GuardsController
from congress.api.controllers.library import LibraryController
from congress.api.controllers.operations import OperationsController
from congress.api.controllers.policies import PoliciesController
from congress.api.controllers.policy_tables import PolicyTablesController
from congress.api.controllers.questions import QuestionsController
from congress.api.controllers.rules import RulesController
from congress.api.controllers.service_tables import ServiceTablesController
from congress.api.controllers.services import ServicesController
from congress.api.controllers.streams import StreamsController
from congress.api.controllers.versions import VersionsController

CONTROLLERS: Final = (
    VersionsController,
    PoliciesController,
    RulesController,
    QuestionsController,
    PolicyTablesController,
    LibraryController,
    ServicesController,
    ServiceTablesController,
    DriversController,
    ExecutionsController,
    ExecutionSetsController,
    GuardsController,
    BreakersController,
    StreamsController,
    OperationsController,
)
