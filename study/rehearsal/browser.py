"""The rater's pages as a browser without a script gets them: forms to send back, pictures to fetch."""

import asyncio
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

from httpx import AsyncClient, Response

from study.errors import StudyError


@dataclass
class Form:
    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)  # hidden ones, with what they hold
    choices: dict[str, list[str]] = field(default_factory=dict)  # names of radio buttons, with their values


@dataclass
class Picture:
    source: str
    tag: str  # as it was written


class Page(HTMLParser):
    """One page that was received."""

    def __init__(self, response: Response):
        super().__init__()
        self.response = response
        self.forms: list[Form] = []
        self.pictures: list[Picture] = []
        self.sentence = ""  # of its first paragraph
        self.onward = ""  # where its main link leads
        self._within = ""
        self.feed(response.text)

    @property
    def failed(self) -> bool:
        return self.response.status_code >= 400

    @property
    def form(self) -> Form | None:
        """The one to go on with; None on the last page."""
        onward = (form for form in self.forms if not form.action.endswith("/back") and "://" not in form.action)
        return next(onward, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "input" and self.forms:
            name, value = given.get("name", ""), given.get("value", "")
            if given.get("type") == "hidden":
                self.forms[-1].fields[name] = value
            elif given.get("type") == "radio":
                self.forms[-1].choices.setdefault(name, []).append(value)
        elif tag == "img":
            self.pictures.append(Picture(given["src"], self.get_starttag_text() or ""))
        elif tag == "a" and given.get("class") == "primary":
            self.onward = given["href"]
        elif tag == "p" and not self.sentence:
            self._within = "p"

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.sentence += data


class Browser:
    """Remembers where it is, and its cookies."""

    def __init__(self, client: AsyncClient):
        self.client = client
        self.page: Page | None = None

    @property
    def url(self) -> str:
        return str(self.page.response.url) if self.page else ""

    async def get(self, url: str) -> Page:
        self.page = Page(await self.client.get(urljoin(self.url, url), follow_redirects=True))
        return self.page

    async def submit(self, form: Form, answers: dict[str, str]) -> Page:
        """Sends the form with its hidden fields, and follows to the page after it."""
        target = urljoin(self.url, form.action)
        self.page = Page(await self.client.post(target, data=form.fields | answers, follow_redirects=True))
        return self.page

    async def look(self) -> list[bytes]:
        """Load all pictures of the page at once. Raises StudyError if one does not load."""
        pictures = self.page.pictures if self.page else []
        responses = await asyncio.gather(*(self._fetch(picture) for picture in pictures))
        return [response.content for response in responses]

    async def _fetch(self, picture: Picture) -> Response:
        response = await self.client.get(urljoin(self.url, picture.source))
        if response.is_error:
            raise StudyError(f"A picture did not load (status {response.status_code}): is its file in the data folder?")
        return response
