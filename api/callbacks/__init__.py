"""What providers tell afterwards: `/callbacks/ACCOUNT/ROUTE`."""

from api.callbacks.endpoints import router

__all__ = ["router"]
