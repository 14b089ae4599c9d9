"""The doors for people who got a message: pixel, links, pictures, unsubscribing, preferences, the message in the browser.

No login, no cookie, no script: what a token in the address says is all that is known. An address that we did not sign is a plain 404.
"""

from api.public.embedded_forms import router as embedded_form_router
from api.public.endpoints import router as public_router
from api.public.forms import router as form_router
from api.public.pictures import router as picture_router
from api.public.signup import router as signup_router

__all__ = ["embedded_form_router", "form_router", "picture_router", "public_router", "signup_router"]
