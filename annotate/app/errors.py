"""Errors as the pages get them: one line of JSON, {"error": ...}, with the status that fits."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from annotate.errors import AnnotateError, Busy, Refused, Unusable


class MissingError(AnnotateError):
    """The request names what does not exist."""


_STATUS = {Refused: 409, MissingError: 404, Busy: 503, Unusable: 500}


def answer_errors(app: FastAPI) -> None:
    """Each error is one line of JSON: {"error": ...}."""

    @app.exception_handler(AnnotateError)
    def refused(request: Request, error: AnnotateError) -> JSONResponse:
        status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 400)
        return JSONResponse({"error": str(error)}, status, {"Retry-After": "1"} if status == 503 else None)

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "body")
        return JSONResponse({"error": f"{field}: {first['msg']}" if field else str(first["msg"])}, 422)

    @app.exception_handler(HTTPException)
    def other(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code)
