package batchapi

import (
	"net"
	"net/http"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

// skew is how far a client's clock may be off.
const skew = 15 * time.Minute

// authenticate finds the account by the host and the caller by its proof.
func (d *Door) authenticate(r *http.Request) (identity.Caller, error) {
	door, name, region := d.Cloud.Route(r.Host)
	if door != resource.BatchDoor {
		return identity.Caller{}, fault.MisdirectedRequest.New("The host %q is not that of a Batch account.", r.Host)
	}
	acct, err := d.Find(r.Context(), name, region)
	if err != nil {
		return identity.Caller{}, err
	}
	who, err := d.caller(r, acct)
	if err != nil {
		return identity.Caller{}, err
	}
	// Only who may know anything about the account learns that it is locked.
	if acct.Locked != nil {
		return identity.Caller{}, acct.Locked
	}
	visitOf(r).account = acct
	return who, nil
}

func (d *Door) caller(r *http.Request, acct Account) (identity.Caller, error) {
	header := r.Header.Get("Authorization")
	scheme, value, _ := strings.Cut(header, " ")
	var who identity.Caller
	switch {
	case header == "":
		return who, fault.BatchUnauthorized.New("")
	case strings.EqualFold(scheme, "Bearer"):
		if !acct.Tokens {
			return who, fault.BatchAuthenticationFailed.New("The account does not allow callers with tokens.").
				With("AuthenticationErrorDetail", "The specified type of authentication AAD is not allowed when the account's allowedAuthenticationModes leave it out.")
		}
		var err error
		if who, err = d.Authenticate(r.Context(), header, d.audiences()); err != nil {
			return who, err
		}
	case strings.EqualFold(scheme, "SharedKey"):
		if !acct.SharedKey {
			return who, fault.BatchAuthenticationFailed.New("The account does not allow callers with its keys.").
				With("AuthenticationErrorDetail", "The specified type of authentication SharedKey is not allowed when the account's allowedAuthenticationModes leave it out.")
		}
		if err := checkShared(r, acct, strings.TrimSpace(value)); err != nil {
			return who, err
		}
		who = identity.Caller{Kind: "account key", Account: acct.ID, Name: acct.Name}
	default:
		return who, fault.InvalidAuthenticationInfo.New("The authentication scheme %q is not supported.", scheme)
	}
	who.Address, _, _ = net.SplitHostPort(r.RemoteAddr)
	who.Correlation = clientRequestID(r)
	return who, nil
}

// clientRequestID is the client's id of the request, which some send as a query
// parameter.
func clientRequestID(r *http.Request) string {
	id := r.Header.Get("client-request-id")
	if id == "" {
		id = rest.Query(r, "client-request-id")
	}
	if len(id) > 128 {
		id = id[:128]
	}
	return id
}
