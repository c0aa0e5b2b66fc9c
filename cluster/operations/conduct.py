"""Conducts operations: who may, with what, and what the audit log says of it. Every shell goes through here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from cluster.errors import InvalidInput, NotFound, RealmError, Theirs, Unauthorized
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Job, Look, Operation, Operator, Params, Preview, Registry, Result
from cluster.ports.audit import AuditEntry

LOOKED_BACK = 50  # entries of the audit log
LONGEST_DETAIL = 200


class Cancelled(Theirs):
    """The operator has cancelled the job."""

    def __init__(self) -> None:
        super().__init__("cancelled", "the operator has cancelled it")


def find(registry: Registry, name: str, operator: Operator) -> Operation:
    """Raises NotFound, and Unauthorized if the operator's role is too low."""
    operation = registry.operations.get(name)
    if operation is None:
        raise NotFound("no_such_operation", f"there is no operation {name!r}")
    if operator.role < operation.role:
        raise Unauthorized("role_too_low", f"{name} needs the role {operation.role.name.lower()}")
    return operation


def action(registry: Registry, name: str, operator: Operator) -> Action[Any, Any]:
    """Raises NotFound also if it is no action."""
    found = find(registry, name, operator)
    if not isinstance(found, Action):
        raise NotFound("no_such_action", f"{name} is no action")
    return found


def read(operation: Operation, given: dict[str, Any]) -> Params:
    """Raises InvalidInput with every field that is wrong."""
    try:
        params: Params = operation.params.model_validate(given)
    except ValidationError as error:
        problems = [(".".join(map(str, found["loc"])) or "params", found["msg"]) for found in error.errors()]
        raise InvalidInput(problems) from error
    return params


async def look(desk: Desk, registry: Registry, operator: Operator, name: str, given: dict[str, Any]) -> Result:
    """What the look answers. Raises NotFound, Unauthorized, InvalidInput, and what it raises."""
    found = find(registry, name, operator)
    if not isinstance(found, Look):
        raise NotFound("no_such_look", f"{name} is an action: plan it, then have it carried out")
    params = read(found, given)
    if found.audited is not None:
        whom = await found.audited(desk, params)
        details = {**_whence(operator), **_details(params.model_dump(mode="json"))}
        entry = AuditEntry(desk.now(), operator.name, name, whom, "", details=details)
        if not (found.again_s and await _looked_lately(desk, entry, found.again_s)):
            await desk.audit.add(entry)
    result: Result = await found.run(desk, params)
    return result


async def _looked_lately(desk: Desk, entry: AuditEntry, again_s: float) -> bool:
    """A page that looks each second would fill the log with itself: one entry in a while says the same."""
    newest = await desk.audit.newest(LOOKED_BACK)
    return any(entry == replace(each, at=entry.at, entry_id="") for each in newest if each.at > entry.at - again_s)


async def preview(desk: Desk, registry: Registry, operator: Operator, name: str, given: dict[str, Any]) -> Preview:
    """What the action would do. Changes nothing. Raises like `look`."""
    found = action(registry, name, operator)
    return await found.plan(desk, await settled(desk, found, read(found, given)))


async def settled(desk: Desk, found: Action[Any, Any], params: Params) -> Params:
    """With names made ids, as the action says. Raises what it raises."""
    made: Params = params if found.settle is None else await found.settle(desk, params)
    return made


async def carry_out(desk: Desk, found: Action[Any, Any], params: Params, job: Job) -> Result:
    """Does it, and writes down that it began and how it ended. Raises what it raises, and Cancelled."""
    params = await settled(desk, found, params)
    await _note(desk, found, params, job, "begun")
    try:
        result: Result = await found.run(desk, params, job)
    except Cancelled:
        await _note(desk, found, params, job, "cancelled")
        raise
    except asyncio.CancelledError:  # the process ends: another one goes on with the job
        raise
    except Exception as error:
        why = str(error) if isinstance(error, RealmError) else type(error).__name__
        await _note(desk, found, params, job, "failed", why)
        raise
    await _note(desk, found, params, job, "done")
    return result


async def _note(desk: Desk, found: Action[Any, Any], params: Params, job: Job, result: str, why: str = "") -> None:
    said = params.model_dump(mode="json")
    reason = str(said.pop("reason", "") or "")
    details: dict[str, str | int | float | bool] = {"job": job.id, **_whence(job.operator)}
    if why:
        details["why"] = why[:LONGEST_DETAIL]
    details = {**_details(said), **details}
    entry = AuditEntry(desk.now(), job.operator.name, found.name, found.target(params), reason, result, details)
    await desk.audit.add(entry)


def _details(said: dict[str, Any]) -> dict[str, str | int | float | bool]:
    return {
        name: value if isinstance(value, bool | int | float) else str(value)[:LONGEST_DETAIL]
        for name, value in said.items()
        if value is not None
    }


def _whence(operator: Operator) -> dict[str, str | int | float | bool]:
    address: dict[str, str | int | float | bool] = {"address": operator.address} if operator.address else {}
    return {"via": operator.via, **address}
