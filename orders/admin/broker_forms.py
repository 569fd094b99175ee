"""The dialogs of broker accounts: what they ask for. Nothing stored as a secret is ever sent to the browser."""

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from compliance.admin.choosing import AccountForm
from oms.lib.admin.actions import ReasonForm
from oms.lib.admin.columns import column_field
from orders.broker_rules import kind_choices
from orders.models import BrokerAccount
from orders.services.broker_accounts import ADDED, CHANGEABLE

NEVER_FILLED = {"autocomplete": "new-password"}
USUAL = {"required": False, "initial": None, "help_text": "Empty: as usual at this kind of broker."}


class CredentialsForm(ReasonForm):
    """New values; what stays empty stays as it is."""

    field_order = ("_form_submitted", *CHANGEABLE, "reason")
    api_key = forms.CharField(label="API key", max_length=64, required=False, widget=UnfoldAdminTextInputWidget)
    api_secret = forms.CharField(
        label="API secret", max_length=128, required=False, widget=UnfoldAdminPasswordWidget(attrs=NEVER_FILLED)
    )
    egress_address = forms.GenericIPAddressField(
        label="Egress address", required=False, widget=UnfoldAdminTextInputWidget
    )


class NewBrokerAccountForm(AccountForm):
    """A login at a broker. Rates that stay empty are those that brokers of its kind usually allow."""

    field_order = ("_form_submitted", *ADDED, "account", "reason")
    name = column_field(BrokerAccount, "name")
    kind = column_field(BrokerAccount, "kind")
    trading_hours = column_field(BrokerAccount, "trading_hours")
    root_url = column_field(BrokerAccount, "root_url", assume_scheme="https", label="Address")
    route_prefix = column_field(BrokerAccount, "route_prefix")
    login_page_url = column_field(BrokerAccount, "login_page_url", assume_scheme="https", label="Login page")
    client_id = column_field(BrokerAccount, "client_id", label="Client id")
    api_key = column_field(BrokerAccount, "api_key", label="API key")
    api_secret = column_field(
        BrokerAccount, "api_secret", label="API secret", widget=UnfoldAdminPasswordWidget(attrs=NEVER_FILLED)
    )
    egress_address = column_field(BrokerAccount, "egress_address")
    orders_per_second = column_field(BrokerAccount, "orders_per_second", **USUAL)
    orders_per_minute = column_field(BrokerAccount, "orders_per_minute", **USUAL)
    orders_per_day = column_field(BrokerAccount, "orders_per_day", **USUAL)
    modifications_per_order = column_field(BrokerAccount, "modifications_per_order", **USUAL)
    other_calls_per_second = column_field(BrokerAccount, "other_calls_per_second", **USUAL)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        # Here and not above: which kinds there are is not known yet when this module is read.
        self.fields["kind"].choices = [("", "---------"), *kind_choices()]
        self.fields["account"].label = "Default account"
        self.fields["account"].help_text = "Who orders found at the broker belong to."
