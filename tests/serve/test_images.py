"""Images in requests."""

from __future__ import annotations

import pytest

from adhere.records import ImagePart, ImageUrl, Message
from adhere.serve.errors import ApiError
from adhere.serve.job import messages_of
from adhere.serve.openai_schema import Part, Turn


def request(url: str) -> list[Turn]:
    return [Turn("user", [Part("image_url", image_url={"url": url})])]


@pytest.mark.parametrize("url", ["data:image/png;base64,AA==", "https://example.org/a.png"])
def test_an_image_is_data_or_an_address(url: str) -> None:
    assert messages_of(request(url)) == (Message("user", (ImagePart(ImageUrl(url)),)),)


@pytest.mark.parametrize("url", ["/etc/passwd", "receipt.png", "file:///etc/passwd", "drawn:cafe/0", ""])
def test_a_client_cannot_name_a_file_of_the_server(url: str) -> None:
    """A strategy that reads images would read it out."""
    with pytest.raises(ApiError, match="data: URI or an http") as caught:
        messages_of(request(url))
    assert (caught.value.status, caught.value.param) == (400, "messages[0].content")
