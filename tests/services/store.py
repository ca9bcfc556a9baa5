"""What a test told the services to hold: POST /control/store."""

from aiohttp import web

STORE = web.AppKey("store", dict)
