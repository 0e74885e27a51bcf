"""multipart/form-data with one file in it, straight to the disk."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from pyllm.errors import printable
from pyllm.server.errors import ApiError
from pyllm.server.files.store import FileStore, FileWriter, StoredFile
from pyllm.server.streams import ClientGone

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# It warns about every byte that a form has in the wrong place; the client is told already.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

PURPOSES: Final = ("batch",)
_MAX_FIELD_BYTES = 1024
_BYTES_PER_WRITE = 2**20  # handing them to another thread takes 0.1 ms


async def receive_file(request: Request, store: FileStore, tenant: str | None) -> StoredFile:
    """The file of the form's field `file`; its field `purpose` must be one of PURPOSES.

    ApiError for any other form, ClientGone when the client left; nothing is kept then.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        wanted = "Content-Type must be multipart/form-data with a boundary"
        raise ApiError(415, wanted, "unsupported_media_type")
    form = _Form(store.create(tenant, "batch"))
    try:
        await _read(request, MultipartParser(boundary, form.callbacks()), form)
        return form.kept()
    except FormParserError:
        message = "the body is not what multipart/form-data says"
        raise ApiError(400, message, "invalid_multipart") from None
    except ClientDisconnect:
        raise ClientGone from None
    except OSError as error:
        message = "the server cannot store the file; its log says why"
        raise ApiError(500, message, "storage_failed") from error
    finally:
        form.writer.discard()


async def _read(request: Request, parser: MultipartParser, form: _Form) -> None:
    async for chunk in request.stream():
        parser.write(chunk)
        if len(form.unwritten) >= _BYTES_PER_WRITE:
            await form.write()
    parser.finalize()
    await form.write()
    if not form.ended:
        raise FormParserError("it ends in the middle")


class _Form:
    """What the parser finds; its calls come while it is fed, so they only note and count."""

    def __init__(self, writer: FileWriter) -> None:
        self.writer = writer
        self.unwritten = bytearray()
        self.ended = False
        self._fields: dict[str, bytearray] = {}
        self._file_name: str | None = None
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._part = ""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._open,
            "on_part_data": self._data,
            "on_end": self._end,
        }

    async def write(self) -> None:
        data, self.unwritten = bytes(self.unwritten), bytearray()
        self.writer.reserve(len(data))
        await asyncio.to_thread(self.writer.write, data)

    def kept(self) -> StoredFile:
        """ApiError when a field is missing or wrong."""
        _check_purpose(self._fields.get("purpose"))
        if self._file_name is None:
            raise ApiError(400, "file: is missing", "invalid_value", param="file")
        return self.writer.keep(self._file_name)

    def _begin(self) -> None:
        self._disposition = b""

    def _end_header(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._header = (bytearray(), bytearray())
        if name.lower() == b"content-disposition":
            self._disposition = value

    def _open(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name == "file":
            if self._file_name is not None:
                raise ApiError(400, "file: one file at a time", "invalid_value", param="file")
            self._file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        elif name != "purpose":
            raise ApiError(
                400, f"{name[:64]!r} is not a known field", "unknown_field", param=name[:64]
            )
        elif name in self._fields:
            raise ApiError(400, "purpose: is given twice", "invalid_value", param="purpose")
        else:
            self._fields[name] = bytearray()
        self._part = name

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part == "file":
            self.unwritten += data[start:end]
            return
        field = self._fields[self._part]
        field += data[start:end]
        if len(field) > _MAX_FIELD_BYTES:
            _check_purpose(field)

    def _end(self) -> None:
        self.ended = True


def _check_purpose(given: bytearray | None) -> None:
    purpose = None if given is None else given[:_MAX_FIELD_BYTES].decode("utf-8", "replace")
    if purpose not in PURPOSES:
        shown = (
            "is missing" if purpose is None else f"{printable(purpose)}: this server stores none"
        )
        message = f"purpose: {shown}; allowed: {', '.join(PURPOSES)}"
        raise ApiError(400, message, "invalid_value", param="purpose")
