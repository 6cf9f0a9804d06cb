"""Forms."""

from django import forms

from backend.accounts.models import Role, User


class PersonForm(forms.Form):
    """A person to add; whether the name is free and well formed is decided by the service."""

    username = forms.CharField(
        label="Name",
        max_length=User._meta.get_field("username").max_length,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        help_text="What the person signs in with: letters, digits and @ . + - _",
    )
    role = forms.ChoiceField(label="Role", choices=Role.choices, initial=Role.VIEWER)


class RoleForm(forms.Form):
    """Another role for a person."""

    role = forms.ChoiceField(label="Role", choices=Role.choices)


class ActiveForm(forms.Form):
    """Let a person in, or shut them out."""

    active = forms.TypedChoiceField(choices=[("1", "yes"), ("0", "no")], coerce=lambda text: text == "1")
