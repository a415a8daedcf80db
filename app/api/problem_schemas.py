"""The JSON of the errors."""

from pydantic import BaseModel, ConfigDict, Field


class FieldErrorOut(BaseModel):
    """A parameter that was not accepted."""

    field: str
    message: str


class ProblemOut(BaseModel):
    """RFC 9457 problem document; some codes add members of their own."""

    type: str
    title: str
    status: int
    detail: str = Field(description="What happened and what to do, for a person.")
    instance: str = Field(description="The path that was called.")
    code: str = Field(description="Stable name of the problem, for programs.")
    request_id: str
    errors: list[FieldErrorOut] = Field(
        default_factory=list, description="With `invalid_request`: the parameters in question."
    )

    model_config = ConfigDict(extra="allow")
