package keyring

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"latchkey/fault"
)

// A Reason says why an account's key cannot be used. The set is closed.
type Reason string

// The reasons.
const (
	// Starting: the service has just started and the vault has not answered yet.
	Starting Reason = "Starting"
	// VaultUnreachable: nobody says no, but the vault could not be asked for longer
	// than the outage grace.
	VaultUnreachable Reason = "VaultUnreachable"

	// The rest are the owner's (or a mistake's) no.

	KeyIDInvalid        Reason = "KeyIdentifierInvalid"
	IdentityNotFound    Reason = "IdentityNotFound"
	TenantMismatch      Reason = "TenantMismatch"
	VaultNotFound       Reason = "VaultNotFound"
	VaultRefused        Reason = "VaultRefused"
	NetworkDenied       Reason = "NetworkDenied"
	SoftDeleteOff       Reason = "SoftDeleteOff"
	PurgeProtectionOff  Reason = "PurgeProtectionOff"
	PermissionMissing   Reason = "PermissionMissing"
	KeyNotFound         Reason = "KeyNotFound"
	KeyDeleted          Reason = "KeyDeleted"
	KeyDisabled         Reason = "KeyDisabled"
	KeyNotYetValid      Reason = "KeyNotYetValid"
	KeyExpired          Reason = "KeyExpired"
	KeyTypeNotSupported Reason = "KeyTypeNotSupported"
	KeySizeNotSupported Reason = "KeySizeNotSupported"
	OperationNotAllowed Reason = "KeyOperationNotAllowed"
	KeyMismatch         Reason = "KeyMismatch"
)

// sentences tell the owner what is wrong and what to do about it. {what} is the
// particular: the permission, the size, the date.
var sentences = map[Reason]string{
	Starting:            "The service has just started and has not heard from the key vault {vault} yet; try again in a moment.",
	VaultUnreachable:    "The key vault {vault} cannot be reached ({what}). The account is usable again as soon as the vault answers.",
	KeyIDInvalid:        "The key identifier of the account is not valid; set encryption.keyVaultProperties.keyIdentifier again.",
	IdentityNotFound:    "The managed identity {identity} that reaches the key {key} does not exist any more or cannot get a token ({what}). Assign to the account an identity that exists and may use the key.",
	TenantMismatch:      "The key vault {vault} is not in the tenant of the account ({what}). The vault must be in the same tenant.",
	VaultNotFound:       "The key vault {vault} does not exist. If it was deleted, recover it.",
	VaultRefused:        "The key vault {vault} does not accept the managed identity {identity} ({what}).",
	NetworkDenied:       "The firewall of the key vault {vault} does not let the service in ({what}). Allow trusted services or the service's address.",
	SoftDeleteOff:       "Soft delete is not on for the key vault {vault}. Turn it on: without it a deleted key, and all data under it, is lost for good.",
	PurgeProtectionOff:  "Purge protection is not on for the key vault {vault}. Turn it on: without it a purged key, and all data under it, is lost for good.",
	PermissionMissing:   "The managed identity {identity} lacks a permission on the keys of the vault {vault}: {what}. Grant get, wrapKey and unwrapKey by an access policy, or by a role if the vault uses RBAC.",
	KeyNotFound:         "The key {key} does not exist in its vault. If it was deleted, recover it.",
	KeyDeleted:          "The key {key} has been deleted. Recover it to get the account back.",
	KeyDisabled:         "The key {key} is disabled. Enable it.",
	KeyNotYetValid:      "The key {key} is not valid yet: its activation date is {what}.",
	KeyExpired:          "The key {key} has expired: its expiration date was {what}. Move the date, or set a newer key.",
	KeyTypeNotSupported: "The key {key} is of type {what}. Only RSA keys can be customer-managed keys.",
	KeySizeNotSupported: "The key {key} has {what} bits. Only RSA keys of 2048, 3072 and 4096 bits can be customer-managed keys.",
	OperationNotAllowed: "The key {key} does not permit an operation that is needed: {what}. Permit wrapKey and unwrapKey on the key.",
	KeyMismatch:         "The key {key} does not open what it has wrapped ({what}).",
}

// sentence fills in a reason's sentence.
func (r Reason) sentence(key KeyID, c Custody, what string) string {
	s := sentences[r]
	if what == "" {
		// A particular that is not known leaves no empty brackets.
		s = strings.NewReplacer(" ({what})", "", ": its activation date is {what}", "", ": its expiration date was {what}", "").Replace(s)
	}
	return strings.NewReplacer("{key}", key.String(), "{vault}", key.Vault, "{identity}", c.Identity, "{what}", what).Replace(s)
}

// refusal is an answer that says no.
type refusal struct {
	reason Reason
	what   string
}

// Error implements error.
func (r *refusal) Error() string { return string(r.reason) + ": " + r.what }

// outage is no answer.
type outage struct{ err error }

// Error implements error.
func (o *outage) Error() string { return o.err.Error() }

// Unwrap implements the errors package's convention.
func (o *outage) Unwrap() error { return o.err }

// says is the outage in a few words for the owner, who has no use for our addresses.
func (o *outage) says() string {
	var dns *net.DNSError
	var status *statusError
	var certificate *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(o.err, &status):
		return status.Error()
	case errors.As(o.err, &dns):
		return "its name does not resolve"
	case errors.As(o.err, &certificate):
		return "its certificate is not trusted"
	case errors.Is(o.err, context.DeadlineExceeded), errors.As(o.err, &timeout) && timeout.Timeout():
		return "it does not answer in time"
	case errors.Is(o.err, syscall.ECONNREFUSED):
		return "it refuses the connection"
	}
	return "the connection fails"
}

// statusError is a status that says nothing about the question.
type statusError struct{ status int }

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("it answers %d", e.status) }

// tell makes of a failed question what the caller of a change is told. What is
// neither an answer nor an outage stays as it is.
func tell(err error, key KeyID, c Custody) error {
	var no *refusal
	var none *outage
	reason, what := Reason(""), ""
	switch {
	case errors.As(err, &no):
		reason, what = no.reason, no.what
	case errors.As(err, &none):
		reason, what = VaultUnreachable, none.says()
	default:
		return err
	}
	text := reason.sentence(key, c, what)
	if reason == VaultUnreachable {
		text = fmt.Sprintf("The key vault %s cannot be reached (%s), so the key cannot be verified. Look at its name, and try again.", key.Vault, what)
	}
	return fault.KeyRefused.New("%s", text).With("reason", string(reason)).With("key", key.String())
}

// IdentityAtFault reports whether a refused verification may go well with another
// identity of the same account.
func IdentityAtFault(f *fault.Fault) bool {
	for _, d := range f.Details {
		if d.Key == "reason" {
			return d.Value == string(IdentityNotFound) || d.Value == string(PermissionMissing) || d.Value == string(VaultRefused)
		}
	}
	return false
}
