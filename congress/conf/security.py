# SPDX-License-Identifier: Apache-2.0
"""Options of who may use the API, from where, and how much."""

from typing import Final

from oslo_config import cfg

AUTH_STRATEGY: Final = cfg.StrOpt(
    "auth_strategy",
    default="noauth",
    choices=[
        ("noauth", "whoever reaches the port may do everything; only on loopback addresses"),
        ("http_basic", "users of a password file, see the group http_basic"),
        ("keystone", "tokens of a Keystone, see the group keystone_authtoken of keystonemiddleware"),
    ],
    help="How clients show who they are.",
)

API_SECURITY: Final = (
    cfg.ListOpt(
        "allowed_origins",
        default=[],
        help="Origins, such as https://console.example.org, whose pages may use the API from a browser (CORS). * is "
        "all of them, and goes with auth_strategy = keystone only.",
    ),
    cfg.ListOpt(
        "trusted_proxies",
        default=[],
        help="Addresses or networks of the proxies before this server. From them, and nobody else, the headers "
        "X-Forwarded-For, -Proto, -Host and -Prefix are believed.",
    ),
    cfg.FloatOpt(
        "rate_limit",
        default=100.0,
        min=0,
        help="Requests a second of one user, or of one address while the user is not known; 0 for no limit. What is "
        "too much is answered with 429. Clients on this machine are not limited, see limit_local.",
    ),
    cfg.IntOpt("rate_burst", default=500, min=1, help="Requests of one client that may come at once."),
    cfg.IntOpt(
        "max_user_streams",
        default=32,
        min=0,
        help="Event streams that one user may have open at the same time; 0 for max_streams. One more is refused with "
        "429. Without authentication there is no such limit.",
    ),
    cfg.IntOpt(
        "login_failures",
        default=20,
        min=0,
        help="Failed logins a minute from one address; further ones are answered with 429. 0 for no limit.",
    ),
    cfg.BoolOpt(
        "limit_local",
        default=False,
        help="Limit clients on this machine too. Behind a proxy on this machine all clients seem to be on it, unless "
        "trusted_proxies names it.",
    ),
)

HTTP_BASIC: Final = (
    cfg.StrOpt(
        "users_file",
        default="",
        sample_default="$state_path/users",
        help="The password file of auth_strategy = http_basic, as htpasswd -B writes it. Only its owner may be able to "
        "write it. It is read again when it changes.",
    ),
    cfg.StrOpt(
        "roles_file",
        default="",
        sample_default="$state_path/roles",
        help="Who has which role, in the form of Apache's group files: a line admin: ann bob. The roles that count are "
        "admin, member and reader. Only its owner may be able to write it. It is read again when it changes.",
    ),
    cfg.FloatOpt(
        "remember",
        default=300.0,
        min=0,
        help="Seconds that a right password is remembered, so that it is not checked anew at each request.",
    ),
)

AUTHORIZATION: Final = (
    cfg.ListOpt(
        "trusted_projects",
        default=[],
        help="With auth_strategy = keystone: the projects in which the roles member and reader count, by id or as "
        "DOMAIN/NAME; * for all projects, so that every member of any project may see and steer the whole cloud. While "
        "it is empty, only the role admin counts, and tokens of the system.",
    ),
)

# oslo.policy registers this option itself; it stands here for the sample and the reference.
POLICY_FILE: Final = cfg.StrOpt(
    "policy_file",
    default="policy.yaml",
    help="The file with rules of authorisation other than the defaults, YAML or JSON, looked for beside the "
    "configuration files. It need not be there unless it is named. It is read again when it changes.",
)
