package vaultapi

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"latchkey/fault"
	"latchkey/rest"
	"latchkey/vault"
)

// bytes64 is bytes that travel in base64url; padding is accepted and not sent.
type bytes64 []byte

// MarshalJSON implements json.Marshaler.
func (b bytes64) MarshalJSON() ([]byte, error) {
	return json.Marshal(base64.RawURLEncoding.EncodeToString(b))
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *bytes64) UnmarshalJSON(data []byte) error {
	var s *string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s == nil {
		*b = nil
		return nil
	}
	v, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(*s, "="))
	if err != nil {
		return fault.BadParameter.New("Property value has invalid value: it is not base64url")
	}
	*b = v
	return nil
}

// attributesIn is what can be set of a key's attributes.
type attributesIn struct {
	Enabled    *bool     `json:"enabled"`
	NotBefore  *rest.Int `json:"nbf"`
	Expires    *rest.Int `json:"exp"`
	Exportable *bool     `json:"exportable"`
}

// latest is the last second that a date can name.
const latest = 253402300799

func (in *attributesIn) attributes() (out vault.Attributes, err error) {
	if in == nil {
		return out, nil
	}
	out.Enabled, out.Exportable = in.Enabled, in.Exportable
	if out.NotBefore, err = seconds("nbf", in.NotBefore); err != nil {
		return out, err
	}
	out.Expires, err = seconds("exp", in.Expires)
	return out, err
}

func seconds(name string, n *rest.Int) (*time.Time, error) {
	if n == nil {
		return nil, nil
	}
	if *n < 0 || *n > latest {
		return nil, fault.BadParameter.New("Property attributes.%s has invalid value: %d is not a time in seconds since 1970", name, *n)
	}
	t := time.Unix(int64(*n), 0).UTC()
	return &t, nil
}

type createIn struct {
	Type          string            `json:"kty"`
	Size          rest.Int          `json:"key_size"`
	Exponent      rest.Int          `json:"public_exponent"`
	Curve         string            `json:"crv"`
	Ops           []string          `json:"key_ops"`
	Attributes    *attributesIn     `json:"attributes"`
	Tags          map[string]string `json:"tags"`
	ReleasePolicy json.RawMessage   `json:"release_policy"`
}

// whole is the largest number that a draft can hold; what is larger is wrong anyway.
const whole = 1 << 31

func (in createIn) draft() (out vault.Draft, err error) {
	out = vault.Draft{
		Type: vault.KeyType(in.Type), Size: int(min(max(in.Size, -1), whole)), Exponent: int(min(max(in.Exponent, -1), whole)),
		Curve: in.Curve, Ops: in.Ops, Tags: in.Tags, ReleasePolicy: present(in.ReleasePolicy),
	}
	out.Attributes, err = in.Attributes.attributes()
	return out, err
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

type updateIn struct {
	Ops           []string          `json:"key_ops"`
	Attributes    *attributesIn     `json:"attributes"`
	Tags          map[string]string `json:"tags"`
	ReleasePolicy json.RawMessage   `json:"release_policy"`
}

func (in updateIn) change() (out vault.Change, err error) {
	out = vault.Change{Ops: in.Ops, Tags: in.Tags, ReleasePolicy: present(in.ReleasePolicy)}
	out.Attributes, err = in.Attributes.attributes()
	return out, err
}

type operationIn struct {
	Algorithm string  `json:"alg"`
	Value     bytes64 `json:"value"`
}

type operationOut struct {
	KID   string  `json:"kid"`
	Value bytes64 `json:"value"`
}

type keyOut struct {
	KID  string   `json:"kid"`
	Type string   `json:"kty"`
	Ops  []string `json:"key_ops"`
	N    bytes64  `json:"n,omitempty"`
	E    bytes64  `json:"e,omitempty"`
	Crv  string   `json:"crv,omitempty"`
	X    bytes64  `json:"x,omitempty"`
	Y    bytes64  `json:"y,omitempty"`
}

type attributesOut struct {
	Enabled         bool   `json:"enabled"`
	NotBefore       *int64 `json:"nbf,omitempty"`
	Expires         *int64 `json:"exp,omitempty"`
	Created         int64  `json:"created"`
	Updated         int64  `json:"updated"`
	RecoveryLevel   string `json:"recoveryLevel"`
	RecoverableDays int    `json:"recoverableDays"`
}

type bundleOut struct {
	Key        keyOut            `json:"key"`
	Attributes attributesOut     `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
}

type itemOut struct {
	KID        string            `json:"kid"`
	Attributes attributesOut     `json:"attributes"`
	Tags       map[string]string `json:"tags,omitempty"`
}

type deletionOut struct {
	RecoveryID string `json:"recoveryId"`
	Deleted    int64  `json:"deletedDate"`
	Purges     int64  `json:"scheduledPurgeDate"`
}

type deletedOut struct {
	deletionOut
	bundleOut
}

type deletedItemOut struct {
	deletionOut
	itemOut
}

type listOut struct {
	Value []any   `json:"value"`
	Next  *string `json:"nextLink"`
}

func bundle(v vault.Version) bundleOut {
	return bundleOut{
		Key: keyOut{
			KID: v.KID, Type: string(v.Type), Ops: v.Ops, N: v.Public.N, E: v.Public.E,
			Crv: v.Public.Curve, X: v.Public.X, Y: v.Public.Y,
		},
		Attributes: attributes(v), Tags: v.Tags,
	}
}

func item(v vault.Version) itemOut { return itemOut{v.KID, attributes(v), v.Tags} }

func attributes(v vault.Version) attributesOut {
	out := attributesOut{
		Enabled: v.Enabled, Created: v.Created.Unix(), Updated: v.Updated.Unix(),
		RecoveryLevel: v.RecoveryLevel, RecoverableDays: v.RecoverableDays,
	}
	if !v.NotBefore.IsZero() {
		n := v.NotBefore.Unix()
		out.NotBefore = &n
	}
	if !v.Expires.IsZero() {
		n := v.Expires.Unix()
		out.Expires = &n
	}
	return out
}

func deletion(k vault.DeletedKey) deletionOut {
	return deletionOut{k.RecoveryID, k.Deleted.Unix(), k.Purges.Unix()}
}
