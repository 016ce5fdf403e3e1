"""What bodies look like, as JSON Schema: https://json-schema.org/draft/2020-12"""

from typing import Any

from veleta.dataset import MAX_TEXT, Column, Dataset
from veleta_inference.adapters.explainer_pool import EXPLAINED_ITEMS
from veleta_inference.domain.protocols import DATATYPES

Schema = dict[str, Any]
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}


def ref(name: str) -> Schema:
    """The schema of this name, wherever it is used in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(dataset: Dataset, items_limit: int) -> dict[str, Schema]:
    """Every schema by its name: of what is asked, `items_limit` items at most, and of what is answered."""
    return {**_asked(dataset, items_limit), **_answered(dataset), **_about_models(), **_about_the_service()}


def _asked(dataset: Dataset, items_limit: int) -> dict[str, Schema]:
    names = [column.name for column in dataset.inputs]
    columns = {column.name: _column(column) for column in dataset.columns}
    value: Schema = {"type": ["number", "string"]}
    split = _object(columns=_list(TEXT | {"enum": names}), data=_list(_list(value)))
    by_column: Schema = {"type": "object", "additionalProperties": {"anyOf": [value, _list(value)]}}
    rows_or_columns: Schema = {"oneOf": [_items(items_limit), by_column]}
    forms = {
        "dataframe_split": split,
        "dataframe_records": _items(items_limit),
        "instances": rows_or_columns,
        "inputs": rows_or_columns,
    }
    shape: Schema = {"type": "array", "items": INTEGER, "minItems": 1, "maxItems": 2}
    datatype = TEXT | {"enum": list(DATATYPES)}
    tensor = _object(name=TEXT | {"enum": names}, shape=shape, datatype=datatype, data={"type": "array"})
    return {
        "Item": {"type": "object", "properties": columns, "required": names, "additionalProperties": False},
        "Items": {"oneOf": [ref("Item"), _items(items_limit)]},
        "FewItems": {"oneOf": [ref("Item"), _items(min(EXPLAINED_ITEMS, items_limit))]},
        "Invocation": {"oneOf": [_object(**{form: schema}) for form, schema in forms.items()]},
        "Inference": _object({"id": TEXT}, inputs={"type": "array", "items": tensor, "minItems": 1}),
    }


def _answered(dataset: Dataset) -> dict[str, Schema]:
    model = _object(name=TEXT, version=INTEGER)
    priced = {dataset.target: NUMBER}
    explained = _object(**priced, base=NUMBER, contributions=_map(NUMBER))
    output = _object(name=TEXT, datatype=TEXT, shape=_list(INTEGER), data=_list(NUMBER))
    fault = _object(item=INTEGER, field=_or_null(TEXT), message=TEXT)
    problem = {"type": TEXT, "title": TEXT, "status": INTEGER, "detail": TEXT, "errors": _list(fault)}
    return {
        "Predictions": _object(request_id=TEXT, model=model, predictions=_list(_object(**priced))),
        "Explanations": _object(request_id=TEXT, model=model, explanations=_list(explained)),
        "Invoked": _object(predictions=_list(NUMBER)),
        "Inferred": _object({"id": TEXT}, model_name=TEXT, model_version=TEXT, outputs=_list(output)),
        "Problem": _object({"error": TEXT}, **problem),
    }


def _about_models() -> dict[str, Schema]:
    promotion: Schema = {
        "version": INTEGER,
        "run_id": TEXT,
        "promoted_at": _or_null(TIME),
        "promotion_seq": INTEGER,
        "metrics": _map(NUMBER),
        "causes": {"type": ["object", "null"]},
    }
    tensor = _object(name=TEXT, datatype=TEXT, shape=_list(INTEGER))
    return {
        "Model": _object(name=TEXT, loaded_at=TIME, **promotion),
        "History": _object(name=TEXT, serving=_or_null(INTEGER), promotions=_list(_object(**promotion))),
        "ModelMetadata": _object(
            name=TEXT, versions=_list(TEXT), platform=TEXT, inputs=_list(tensor), outputs=_list(tensor)
        ),
        "ModelReady": _object(name=TEXT, ready=FLAG),
    }


def _about_the_service() -> dict[str, Schema]:
    return {
        "Server": _object(name=TEXT, version=TEXT, extensions=_list(TEXT)),
        "ServerLive": _object(live=FLAG),
        "ServerReady": _object(ready=FLAG),
        "Alive": _object(alive=FLAG),
        "Readiness": _object(ready=FLAG, doing=TEXT, waits_for=_map(TEXT)),
    }


def _column(column: Column) -> Schema:
    """What `Column.convert` takes, not below the column's minimum."""
    about: Schema = {"title": column.title, **({"description": column.unit} if column.unit else {})}
    if column.numeric:
        return about | NUMBER | ({} if column.minimum is None else {"minimum": column.minimum})
    return about | TEXT | ({"format": "date"} if column.kind == "date" else {"maxLength": MAX_TEXT})


def _items(most: int) -> Schema:
    return {"type": "array", "items": ref("Item"), "minItems": 1, "maxItems": most}


def _object(optional: dict[str, Schema] | None = None, /, **required: Schema) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}
