"""Lists in pages: every list route takes the same two parameters and gives the same envelope."""

from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query, Request
from pydantic import BaseModel, Field

T = TypeVar("T")
_HIGHEST_PAGE = 1_000_000


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    total: int = Field(description="Number of items on all pages")
    page: int
    size: int


class PageRequest(BaseModel):
    """Which page is wanted, held to the service's limits."""

    page: int
    size: int

    @property
    def offset(self) -> int:
        """How many items come before the page."""
        return (self.page - 1) * self.size


async def _page_request(
    request: Request,
    page: Annotated[int, Query(ge=1, le=_HIGHEST_PAGE, description="Counts from 1")] = 1,
    size: Annotated[
        int | None, Query(ge=1, description="Items a page: DEFAULT_PAGE_SIZE unless given, MAX_PAGE_SIZE at most")
    ] = None,
) -> PageRequest:
    settings = request.app.state.service.settings
    return PageRequest(page=page, size=min(size or settings.default_page_size, settings.max_page_size))


Paging = Annotated[PageRequest, Depends(_page_request)]
"""A route's parameter of this type receives the wanted page."""
