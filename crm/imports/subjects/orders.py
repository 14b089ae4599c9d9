"""What contacts bought: a row is one order and becomes *Order Completed*, with *Order Cancelled* where it was.

Exports with a row for each article (Shopify) say the totals on the first of them only: the others are passed over, and articles are not imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from crm.imports import event_rows
from crm.imports.cells import CellProblem
from crm.imports.event_rows import Happened
from crm.imports.imports import ImportReport, RowError
from crm.imports.reading import Reading
from crm.imports.record_columns import RecordColumns, Target, moment, number, text
from crm.imports.record_writer import About, RecordWriter
from crm.imports.subjects.record_subject import RecordSubject


def _currency(cell: str, reading: Reading) -> str:
    found = {"€": "EUR", "$": "USD", "£": "GBP", "fr.": "CHF", "sfr.": "CHF"}.get(cell.lower(), cell.upper())
    if len(found) != 3 or not found.isascii() or not found.isalpha():
        raise CellProblem("invalid_currency")
    return found


TARGETS: Mapping[str, Target] = {
    "order_id": Target(
        text(100),
        frozenset(
            {"name", "order", "order_number", "order_no", "order_name", "bestellnummer", "bestellung", "auftragsnummer", "auftrag", "id"}
        ),
        required=True,
    ),
    "at": Target(
        moment,
        frozenset({"created_at", "order_date", "date", "datum", "bestelldatum", "processed_at", "timestamp", "ordered_at"}),
    ),
    "total": Target(
        number, frozenset({"order_total", "total_price", "amount", "summe", "betrag", "gesamt", "gesamtbetrag", "grand_total"})
    ),
    "revenue": Target(number, frozenset({"subtotal", "net", "zwischensumme", "netto"})),
    "tax": Target(number, frozenset({"taxes", "steuer", "mwst", "vat"})),
    "shipping": Target(number, frozenset({"versand", "versandkosten", "shipping_cost"})),
    "discount": Target(number, frozenset({"discount_amount", "rabatt"})),
    "currency": Target(_currency, frozenset({"waehrung", "currency_code"})),
    "coupon": Target(text(200), frozenset({"discount_code", "gutschein", "gutscheincode", "coupon_code"})),
    "cancelled_at": Target(moment, frozenset({"canceled_at", "storniert_am"})),
}
_PROPERTIES = ("order_id", "total", "revenue", "tax", "shipping", "discount", "currency", "coupon")


class _Writer(RecordWriter):
    def put(self, session: Session, rows: Sequence[About], now: datetime, report: ImportReport) -> list[RowError]:
        errors = [_without_time(one, self.columns) for one in rows if _lacks_time(one)]
        whole = [one for one in rows if not _lacks_time(one) and "at" in one.record.values]
        happened = [event for one in whole for event in _events(one)]
        new = event_rows.store(session, report.id, happened, now, wake=self.options.wake, keep=not self.options.dry_run)
        report.changed += len({happened[place].properties["order_id"] for place in new})
        return errors


class Orders(RecordSubject):
    key = "orders"
    label = "Orders"
    help = "Each row is an order of a contact and becomes the event Order Completed. An order that is there already is left as it is."
    target_names: Mapping[str, str] = {
        "order_id": "Order id",
        "at": "Time of the order",
        "total": "Total",
        "revenue": "Net amount",
        "tax": "Tax",
        "shipping": "Shipping",
        "discount": "Discount",
        "currency": "Currency",
        "coupon": "Coupon",
        "cancelled_at": "Time of the cancellation",
    }
    targets = TARGETS
    writes = _Writer
    has_properties = True


def _lacks_time(one: About) -> bool:
    """It says how much, and not when; a row that says neither is a further article of the order above."""
    return "at" not in one.record.values and "total" in one.record.values


def _without_time(one: About, columns: RecordColumns) -> RowError:
    return RowError(line=one.line.number, reason="missing_value", column=columns.header_of("at"))


def _events(one: About) -> list[Happened]:
    said = one.record.values
    properties = {name: said[name] for name in _PROPERTIES if name in said} | dict(one.record.properties)
    key = f"order\x1f{said['order_id']}"
    found = [Happened(one.contact.id, "Order Completed", said["at"], properties, key)]
    if "cancelled_at" in said:
        found.append(Happened(one.contact.id, "Order Cancelled", said["cancelled_at"], properties, key))
    return found
