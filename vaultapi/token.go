package vaultapi

import (
	"errors"
	"net/http"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
)

// challengeDetail is the detail of a fault that is to become the challenge instead of
// the usual one.
const challengeDetail = "WWW-Authenticate"

// authenticate finds out who calls.
func (d *Door) authenticate(r *http.Request) (identity.Caller, error) {
	who, err := d.Directory.Authenticate(r.Context(), r.Header.Get("Authorization"), d.audiences)
	if err != nil {
		return who, d.unauthorized(err)
	}
	who.Address = address(r)
	if who.Correlation = r.Header.Get("x-ms-client-request-id"); who.Correlation == "" || len(who.Correlation) > 128 {
		who.Correlation = rest.RequestID(r)
	}
	return who, nil
}

// unauthorized gives a failure of the directory Key Vault's code and words.
func (d *Door) unauthorized(err error) error {
	f, ok := fault.From(err)
	if !ok {
		return err
	}
	var text string
	switch {
	case errors.Is(err, fault.AuthenticationFailed):
		return fault.Unauthorized.New("AKV10000: Request is missing a Bearer or PoP token.")
	case errors.Is(err, fault.WrongAudience):
		text = "AKV10022: Invalid audience. Expected " + strings.Join(d.audiences, ", ") + ". " + f.Message
	case errors.Is(err, fault.WrongTenant):
		text = "AKV10032: Invalid issuer. " + f.Message
	case errors.Is(err, fault.ExpiredToken):
		text = "[TokenExpired] Error validating token: " + f.Message
	case f.Code.Status == http.StatusUnauthorized:
		text = "[BearerReadAccessTokenFailed] Error validating token: " + f.Message
	default:
		return err
	}
	out := fault.Unauthorized.New("%s", text)
	challenge := identity.Challenge(err, d.Cloud.Login, d.Directory.Tenant())
	if challenge == "" {
		challenge = d.where() + `, error="invalid_token"`
	}
	return out.With(challengeDetail, challenge)
}

// where is the challenge: where to get a token, and for what. Clients split it at
// blanks, so there is exactly one between its parts.
func (d *Door) where() string {
	return `Bearer authorization="https://` + d.Cloud.Login + `/` + d.Directory.Tenant() + `", resource="https://` + d.Cloud.Vault + `"`
}

// challenge adds the challenge to a failure that asks for a token.
func (d *Door) challenge(h http.Header, _ *http.Request, f *fault.Fault) {
	if f.Code != fault.Unauthorized {
		return
	}
	challenge := d.where()
	for _, detail := range f.Details {
		if detail.Key == challengeDetail {
			challenge = detail.Value
		}
	}
	h.Set("WWW-Authenticate", challenge)
}
