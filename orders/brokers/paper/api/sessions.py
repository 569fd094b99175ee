"""Login page, session tokens, logout.

Belongs here: Kite's routes of the login flow; the tokens themselves are in `session`.
"""

from html import escape
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from orders.brokers.paper import wire
from orders.brokers.paper.account import Account
from orders.brokers.paper.errors import InputError, KiteError, TokenError

from .endpoint import Visit, public, services_of

TEMPLATES = Path(__file__).parent.parent / "templates"
NOT_RENEWABLE = "The app is not approved for refreshing sessions. Log in again."


def profile_fields(account: Account) -> dict[str, Any]:
    """What Kite says of a client, in the profile and with a session."""
    first, _, _ = account.user_name.partition(" ")
    return {
        "user_id": account.user_id,
        "user_type": "individual",
        "email": f"{account.user_id.lower()}@paper.invalid",
        "user_name": account.user_name,
        "user_shortname": first,
        "broker": "PAPER",
        "exchanges": ["NSE", "NFO"],
        "products": ["CNC", "NRML", "MIS"],
        "order_types": ["MARKET", "LIMIT", "SL", "SL-M"],
        "avatar_url": None,
        "meta": {"demat_consent": "physical" if account.edis else "consent"},
    }


async def login(request: Request) -> Response:
    """GET shows the page (in the demo mode it logs in at once); POST is the page's button."""
    services = services_of(request)
    query = request.query_params
    try:
        app = services.sessions.app(query.get("api_key", ""))
        form = await wire.read_form(request) if request.method == "POST" else {}
        user_id = form.get("user_id") or query.get("user_id") or next(iter(services.accounts))
        if user_id not in services.accounts:
            raise InputError("Invalid `user_id`.")
    except KiteError as error:
        return _page("message.html", error.code, title="This link does not work", text=error.message, detail="")
    if request.method == "GET" and not services.demo:
        options = "".join(
            f'<option value="{escape(a.user_id)}">{escape(a.user_id)} · {escape(a.user_name)}</option>'
            for a in services.accounts.values()
        )
        return _page("login.html", 200, safe={"options": options}, app=app.api_key)
    request_token = services.sessions.request_token(app.api_key, user_id)
    if not app.redirect_url:
        return _page(
            "message.html",
            200,
            title="You are logged in",
            text="This app has no redirect address. Its request token, good for five minutes:",
            detail=request_token,
        )
    answer = urlencode({"action": "login", "type": "login", "status": "success", "request_token": request_token})
    extra = query.get("redirect_params", "")
    joint = "&" if "?" in app.redirect_url else "?"
    target = f"{app.redirect_url}{joint}{answer}" + (f"&{extra}" if extra else "")
    return RedirectResponse(target, 302)


def _page(name: str, code: int, safe: dict[str, str] | None = None, **texts: str) -> Response:
    template = Template((TEMPLATES / name).read_text(encoding="utf-8"))
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    values = {key: escape(text) for key, text in texts.items()} | (safe or {})
    return HTMLResponse(template.substitute(values, style=style), code)


async def create(call: Visit) -> dict[str, Any]:
    """POST /session/token."""
    form = await wire.read_form(call.request)
    for name in ("api_key", "request_token", "checksum"):
        if not form.get(name):
            raise InputError(f"Missing or empty field `{name}`")
    session = call.services.sessions.create(form["api_key"], form["request_token"], form["checksum"])
    return {
        **profile_fields(call.services.accounts[session.user_id]),
        "api_key": session.api_key,
        "access_token": session.access_token,
        "public_token": session.public_token,
        "enctoken": "",
        "refresh_token": "",
        "silo": "",
        "login_time": session.login_time[:19].replace("T", " "),
    }


async def end(call: Visit) -> bool:
    """DELETE /session/token."""
    query = call.request.query_params
    if query.get("refresh_token"):
        return True
    session = call.services.sessions.check(query.get("api_key", ""), query.get("access_token", ""))
    call.services.sessions.end(session.access_token)
    return True


async def refresh(_: Visit) -> None:
    """POST /session/refresh_token, which Kite keeps for approved platforms."""
    raise TokenError(NOT_RENEWABLE)


ROUTES = [
    Route("/connect/login", login, methods=["GET", "POST"]),
    Route("/session/token", public(create), methods=["POST"]),
    Route("/session/token", public(end), methods=["DELETE"]),
    Route("/session/refresh_token", public(refresh), methods=["POST"]),
]
