package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"latchkey/fault"
	"latchkey/resource"
)

// maxToken is longer than every token of ours; what is longer is not looked at.
const maxToken = 16 << 10

var parser = jwt.NewParser(
	jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
	// Claims are checked below, where each failure gets its own words.
	jwt.WithoutClaimsValidation(),
)

// Authenticate finds out who calls from the value of an Authorization header. The
// token must be signed by one of our keys with RS256, be issued by this tenant for one
// of the audiences, be in date, and belong to a principal that still exists.
//
// It fails with fault.AuthenticationFailed if there is no bearer token, else with
// InvalidToken, StaleToken, ExpiredToken, WrongTenant or WrongAudience. Challenge tells
// what to add to the answer.
func (d *Directory) Authenticate(ctx context.Context, authorization string, audiences []string) (Caller, error) {
	token, err := bearer(authorization)
	if err != nil {
		return Caller{}, err
	}
	v, err := d.current(ctx)
	if err != nil {
		return Caller{}, err
	}
	key := sha256.Sum256([]byte(token))
	c, ok := d.tokens.get(key)
	if _, known := v.keys[c.kid]; !ok || !known {
		if c, err = d.verify(v, token); err != nil {
			return Caller{}, err
		}
	}
	if err := d.inDate(c); err != nil {
		return Caller{}, err
	}
	if !slices.ContainsFunc(audiences, func(a string) bool { return plainAudience(a) == c.audience }) {
		return Caller{}, fault.WrongAudience.New("The access token has been obtained for wrong audience or resource '%s'. "+
			"It should exactly match with one of the allowed audiences '%s'.", c.audience, strings.Join(audiences, "','"))
	}
	p, ok := v.principals[resource.Fold(c.objectID)]
	if !ok || p.ClientID != c.clientID {
		return Caller{}, fault.InvalidToken.New("The access token is invalid: its principal '%s' does not exist in the tenant any more.", c.objectID)
	}
	d.tokens.put(key, c)
	return Caller{Tenant: d.tenant.ID, ObjectID: p.ObjectID, AppID: p.ClientID, Name: p.Name, Kind: p.Kind}, nil
}

// bearer takes the token out of an Authorization header.
func bearer(authorization string) (string, error) {
	authorization = strings.TrimSpace(authorization)
	if authorization == "" {
		return "", fault.AuthenticationFailed.New("Authentication failed. The 'Authorization' header is missing.")
	}
	scheme, token, ok := strings.Cut(authorization, " ")
	token = strings.TrimSpace(token)
	if !ok || token == "" || !strings.EqualFold(scheme, "Bearer") {
		return "", fault.AuthenticationFailed.New("Authentication failed. The 'Authorization' header is provided in an invalid format.")
	}
	if len(token) > maxToken {
		return "", fault.InvalidToken.New("")
	}
	return token, nil
}

// verified is what stays of a token whose signature, issuer and tenant were right.
// They cannot become wrong later; the rest is looked at for every request.
type verified struct {
	audience, objectID, clientID string
	notBefore, expires           time.Time
	kid                          string
}

var errUnknownKey = errors.New("signed with a key that is not ours")

func (d *Directory) verify(v *view, token string) (verified, error) {
	var c claims
	t, err := parser.ParseWithClaims(token, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		if kid == "" {
			return nil, errors.New("no kid")
		}
		k, ok := v.keys[kid]
		if !ok {
			return nil, errUnknownKey
		}
		return &k.private.PublicKey, nil
	})
	if errors.Is(err, errUnknownKey) {
		return verified{}, fault.StaleToken.New("")
	}
	if err != nil {
		d.log.Debug("a token was refused", "error", err)
		return verified{}, fault.InvalidToken.New("The access token is invalid.")
	}
	if c.Issuer != d.Issuer() || !resource.Equal(c.TenantID, d.tenant.ID) {
		return verified{}, fault.WrongTenant.New("The access token is from the wrong issuer '%s'. It must match the tenant '%s' associated with this subscription. "+
			"Please use the authority (URL) 'https://%s/%s' to get the token.", c.Issuer, d.Issuer(), d.cloud.Login, d.tenant.ID)
	}
	if c.ExpiresAt == nil || len(c.Audience) != 1 || c.ObjectID == "" {
		return verified{}, fault.InvalidToken.New("The access token is invalid: it must have an expiry, one audience and an object id.")
	}
	out := verified{
		audience: plainAudience(c.Audience[0]), objectID: c.ObjectID, clientID: c.AppID, expires: c.ExpiresAt.Time,
	}
	out.kid, _ = t.Header["kid"].(string)
	if c.NotBefore != nil {
		out.notBefore = c.NotBefore.Time
	}
	return out, nil
}

// inDate checks the two dates of a token.
func (d *Directory) inDate(c verified) error {
	const layout = "1/2/2006 3:04:05 PM"
	now := time.Now().UTC()
	if !now.Before(c.expires) {
		return fault.ExpiredToken.New("The access token expiry UTC time '%s' is earlier than current UTC time '%s'.",
			c.expires.UTC().Format(layout), now.Format(layout))
	}
	if now.Before(c.notBefore) {
		return fault.InvalidToken.New("The access token is not valid before UTC time '%s'; current UTC time is '%s'.",
			c.notBefore.UTC().Format(layout), now.Format(layout))
	}
	return nil
}

// tokenCache remembers tokens that were verified, because a signature costs more than
// most requests. It holds hashes, no tokens.
type tokenCache struct {
	mu sync.RWMutex
	m  map[[sha256.Size]byte]verified
}

// cacheSize bounds the cache; an entry is about 200 bytes.
const cacheSize = 4096

func (c *tokenCache) get(key [sha256.Size]byte) (verified, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.m[key]
	return v, ok
}

func (c *tokenCache) put(key [sha256.Size]byte, v verified) {
	c.mu.RLock()
	_, known := c.m[key]
	c.mu.RUnlock()
	if known {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil {
		c.m = map[[sha256.Size]byte]verified{}
	}
	if len(c.m) >= cacheSize {
		c.shrink()
	}
	c.m[key] = v
}

// shrink drops what has run out, and if that is not enough a quarter of the rest, as
// it comes.
func (c *tokenCache) shrink() {
	now := time.Now()
	for k, v := range c.m {
		if !now.Before(v.expires) {
			delete(c.m, k)
		}
	}
	for k := range c.m {
		if len(c.m) <= cacheSize*3/4 {
			return
		}
		delete(c.m, k)
	}
}
