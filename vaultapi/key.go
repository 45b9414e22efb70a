package vaultapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"latchkey/fault"
	"latchkey/identity"
	"latchkey/rest"
	"latchkey/vault"
)

func (d *Door) keyRoutes() {
	d.handle("GET /keys", d.keys)
	d.handle("POST /keys/{key}/create", d.createKey)
	d.handle("GET /keys/{key}/versions", d.keyVersions)
	d.handle("DELETE /keys/{key}", d.deleteKey)
	d.handle("PUT /keys/{key}", d.importKey)
	d.handle("POST /keys/{key}/rotate", d.rotateKey)
	d.handle("GET /keys/{key}/rotationpolicy", d.rotationPolicy)
	d.handle("PUT /keys/{key}/rotationpolicy", d.setRotationPolicy)
	d.handle("POST /keys/{key}/backup", d.backupKey)
	d.handle("POST /keys/restore", d.restoreKey)
	d.handle("POST /rng", d.random)
	for _, path := range []string{"/keys/{key}", "/keys/{key}/{version}"} {
		d.handle("GET "+path, d.key)
		d.handle("PATCH "+path, d.updateKey)
		d.handle("POST "+path+"/encrypt", d.operation(d.Vaults.Encrypt))
		d.handle("POST "+path+"/decrypt", d.operation(d.Vaults.Decrypt))
		d.handle("POST "+path+"/wrapkey", d.operation(d.Vaults.Wrap))
		d.handle("POST "+path+"/unwrapkey", d.operation(d.Vaults.Unwrap))
		d.handle("POST "+path+"/sign", d.operation(d.Vaults.Sign))
		d.handle("POST "+path+"/verify", d.verify)
		d.handle("POST "+path+"/release", d.release)
		d.handle("GET "+path+"/attestation", d.attestation)
	}
}

func (d *Door) createKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in createIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	draft, err := in.draft()
	if err != nil {
		return rest.Reply{}, err
	}
	key, err := d.Vaults.Create(r.Context(), who, d.ref(r), draft)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(key)), nil
}

func (d *Door) key(r *http.Request, who identity.Caller) (rest.Reply, error) {
	key, err := d.Vaults.Key(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(key)), nil
}

func (d *Door) updateKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	var in updateIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	change, err := in.change()
	if err != nil {
		return rest.Reply{}, err
	}
	key, err := d.Vaults.UpdateKey(r.Context(), who, d.ref(r), change)
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(bundle(key)), nil
}

func (d *Door) deleteKey(r *http.Request, who identity.Caller) (rest.Reply, error) {
	key, err := d.Vaults.DeleteKey(r.Context(), who, d.ref(r))
	if err != nil {
		return rest.Reply{}, err
	}
	return rest.OK(deletedOut{deletion(key), bundle(key.Version)}), nil
}

// operation is the handler of an operation with a key.
func (d *Door) operation(do func(context.Context, identity.Caller, vault.Ref, string, []byte) (vault.Result, error)) rest.Handler {
	return func(r *http.Request, who identity.Caller) (rest.Reply, error) {
		var in operationIn
		if err := rest.Decode(r, &in); err != nil {
			return rest.Reply{}, err
		}
		if in.Algorithm == "" {
			return rest.Reply{}, fault.BadParameter.New("Property alg has invalid value: it must be given")
		}
		if in.Value == nil {
			return rest.Reply{}, fault.BadParameter.New("Property value has invalid value: it must be given")
		}
		out, err := do(r.Context(), who, d.ref(r), in.Algorithm, in.Value)
		if err != nil {
			return rest.Reply{}, err
		}
		return rest.OK(operationOut{out.KID, out.Value}), nil
	}
}

func (d *Door) keys(r *http.Request, who identity.Caller) (rest.Reply, error) {
	page, err := pageIn(r)
	if err != nil {
		return rest.Reply{}, err
	}
	list, err := d.Vaults.Keys(r.Context(), who, d.vault(r), page)
	if err != nil {
		return rest.Reply{}, err
	}
	return d.list(r, items(list), list.Next), nil
}

func (d *Door) keyVersions(r *http.Request, who identity.Caller) (rest.Reply, error) {
	page, err := pageIn(r)
	if err != nil {
		return rest.Reply{}, err
	}
	list, err := d.Vaults.Versions(r.Context(), who, d.ref(r), page)
	if err != nil {
		return rest.Reply{}, err
	}
	return d.list(r, items(list), list.Next), nil
}

func items(list vault.List) []any {
	out := make([]any, 0, len(list.Keys))
	for _, key := range list.Keys {
		out = append(out, item(key))
	}
	return out
}

// pageIn reads which page of a list is asked for.
func pageIn(r *http.Request) (vault.Page, error) {
	page := vault.Page{Behind: rest.Query(r, "$skiptoken")}
	if rest.Has(r, "maxresults") {
		n, err := strconv.Atoi(rest.Query(r, "maxresults"))
		if err != nil || n == 0 {
			return page, fault.BadParameter.New("maxresults is not a number from 1 to 25: '%s'", rest.Query(r, "maxresults"))
		}
		page.Size = n
	}
	return page, nil
}

// list answers a page of a list, with the address of the next one.
func (d *Door) list(r *http.Request, items []any, next string) rest.Reply {
	out := listOut{Value: items}
	if next != "" {
		query := url.Values{"api-version": {rest.Query(r, "api-version")}, "$skiptoken": {next}}
		if n := rest.Query(r, "maxresults"); n != "" {
			query.Set("maxresults", n)
		}
		link := strings.TrimSuffix(d.Cloud.VaultURI(d.vault(r)), "/") + "/" + strings.Trim(r.URL.Path, "/") + "?" + query.Encode()
		out.Next = &link
	}
	return rest.OK(out)
}
