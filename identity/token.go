package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"latchkey/fault"
	"latchkey/resource"
)

// How long tokens live: Azure's figures. A managed identity's token lives long
// because nobody steals it on the way; it still ends with its identity.
const (
	applicationLifetime = time.Hour
	managedLifetime     = 24 * time.Hour
	// backdate lets a token pass on a machine whose clock is a little behind.
	backdate = 5 * time.Minute
)

// A Token is a token that was just issued.
type Token struct {
	Value string
	// Audience is what the token is good for, as it was asked for.
	Audience           string
	NotBefore, Expires time.Time
	// Principal is whose token it is.
	Principal Principal
}

// claims are the claims of a token. They are those of Azure's first and second
// version together, because each client reads the ones it grew up with.
type claims struct {
	jwt.RegisteredClaims
	TenantID     string `json:"tid"`
	ObjectID     string `json:"oid"`
	AppID        string `json:"appid"`
	AppIDACR     string `json:"appidacr"`
	AZP          string `json:"azp"`
	AZPACR       string `json:"azpacr"`
	IDType       string `json:"idtyp"`
	IDP          string `json:"idp"`
	DisplayName  string `json:"app_displayname"`
	Name         string `json:"name"`
	ResourceID   string `json:"xms_mirid,omitempty"`
	TokenVersion string `json:"ver"`
}

// audienceString makes aud one string: some clients refuse a list.
type wireClaims struct {
	claims
	Audience string `json:"aud"`
}

// Issuer returns the issuer of tokens, the same in the tokens and in the discovery
// document.
func (d *Directory) Issuer() string {
	return "https://" + d.cloud.Login + "/" + d.tenant.ID + "/v2.0"
}

// audiencesOf lists what tokens may be asked for.
func audiencesOf(c resource.Cloud) []string {
	names := append([]string{
		"https://" + c.Management,
		"https://" + c.Vault, "https://vault.azure.net",
		c.BatchAudience, "https://" + c.Batch, "https://batch.core.windows.net",
		"https://" + c.Graph, "https://graph.microsoft.com", "https://graph.windows.net",
	}, c.ManagementAudiences...)
	for i, name := range names {
		names[i] = plainAudience(name)
	}
	return names
}

// plainAudience is the form in which audiences compare: no case, no slash at the end.
func plainAudience(s string) string { return strings.TrimRight(resource.Fold(s), "/") }

// KnowsAudience reports whether tokens for a resource can be had. Slashes at the end
// make no difference.
func (d *Directory) KnowsAudience(name string) bool {
	return slices.Contains(d.audiences, plainAudience(name))
}

// ApplicationToken issues a token to an application that shows its secret. It fails
// with ErrNoApplication or ErrWrongSecret; the caller has looked at the audience.
func (d *Directory) ApplicationToken(ctx context.Context, clientID, secret, audience string) (Token, error) {
	p, err := d.CheckSecret(ctx, clientID, secret)
	if err != nil {
		return Token{}, err
	}
	return d.issue(ctx, p, audience, applicationLifetime)
}

// IdentityToken issues a token to a managed identity, which is given as for
// FindIdentity. It fails with fault.FailedIdentityOperation if there is none.
func (d *Directory) IdentityToken(ctx context.Context, selector, audience string) (token string, expires time.Time, err error) {
	t, err := d.ManagedToken(ctx, selector, audience)
	return t.Value, t.Expires, err
}

// ManagedToken is IdentityToken with all that is known of the token.
func (d *Directory) ManagedToken(ctx context.Context, selector, audience string) (Token, error) {
	v, err := d.current(ctx)
	if err != nil {
		return Token{}, err
	}
	m, ok := v.identity(selector)
	if !ok {
		return Token{}, fault.FailedIdentityOperation.New("Identity operation failed: the identity '%s' was not found in the tenant '%s'.", selector, d.tenant.ID)
	}
	return d.issue(ctx, m.principal(), audience, managedLifetime)
}

func (d *Directory) issue(ctx context.Context, p Principal, audience string, lifetime time.Duration) (Token, error) {
	v, err := d.current(ctx)
	if err != nil {
		return Token{}, err
	}
	if v.signer == nil {
		return Token{}, errors.New("the directory has no signing key")
	}
	now := time.Now()
	c := wireClaims{Audience: audience, claims: claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: d.Issuer(), Subject: p.ObjectID, ID: resource.NewGUID(),
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-backdate)),
			ExpiresAt: jwt.NewNumericDate(now.Add(lifetime)),
		},
		TenantID: d.tenant.ID, ObjectID: p.ObjectID, AppID: p.ClientID, AZP: p.ClientID,
		AppIDACR: "1", AZPACR: "1", IDType: "app", IDP: d.Issuer(),
		DisplayName: p.Name, Name: p.Name, TokenVersion: "2.0",
	}}
	if p.Kind == KindManaged {
		c.ResourceID = p.ResourceID
		c.AppIDACR, c.AZPACR = "2", "2"
	}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	t.Header["kid"] = v.signer.kid
	signed, err := t.SignedString(v.signer.private)
	if err != nil {
		return Token{}, fmt.Errorf("signing a token: %w", err)
	}
	return Token{
		Value: signed, Audience: audience, Principal: p,
		NotBefore: c.NotBefore.Time, Expires: c.ExpiresAt.Time,
	}, nil
}
