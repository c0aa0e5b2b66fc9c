"""What the web process is asked over the bus (`Subjects.accounts`, in the form of cluster/world_control.py).

`REFRESH` {"refresh_token", "user_id", "session_id"} answers with the body of POST /v1/auth/refresh: the user and the session are
those of the socket that it came from. `LIFETIMES` {} answers {"tokens_s", "logins_s"}: see cluster/security/lifetimes.py.
`ROTATE_KEYS` {"compromised"} and `LIST_KEYS` {}: see serve_apps/accounts/key_desk.py.
"""

from __future__ import annotations

REFRESH, ROTATE_KEYS, LIST_KEYS, LIFETIMES = "refresh", "rotate_keys", "list_keys", "lifetimes"
