package identity

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"latchkey/fault"
)

// Challenge returns the WWW-Authenticate header that goes with a failure of
// Authenticate when the client should throw its token away and take a new one; empty
// when the door's usual challenge will do. That is for a token that looks like ours and
// was signed with a key that we do not have: left over from a directory that is gone,
// most likely. Without it, clients that keep tokens on disk repeat the stale one until
// it runs out.
func Challenge(err error, loginHost, tenant string) string {
	if !errors.Is(err, fault.StaleToken) {
		return ""
	}
	claims := fmt.Sprintf(`{"access_token":{"nbf":{"essential":true,"value":"%d"}}}`, time.Now().Unix())
	return fmt.Sprintf(`Bearer realm="", authorization_uri="https://%s/%s/oauth2/authorize", error="insufficient_claims", claims="%s"`,
		loginHost, tenant, base64.StdEncoding.EncodeToString([]byte(claims)))
}
