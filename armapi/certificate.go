package armapi

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"latchkey/account"
	"latchkey/batch"
	"latchkey/fault"
	"latchkey/identity"
	"latchkey/resource"
	"latchkey/rest"
)

const certificateType = account.Type + "/certificates"

func (d *Door) certificateRoutes() {
	const (
		all = inGroup + "/providers/Microsoft.Batch/batchAccounts/{account}/certificates"
		one = all + "/{certificate}"
	)
	d.handle("PUT "+one, d.putCertificate)
	d.handle("PATCH "+one, d.patchCertificate)
	d.handle("GET "+one, d.certificate)
	d.handle("DELETE "+one, d.deleteCertificate)
	d.handle("GET "+all, d.certificates)
	d.handle("POST "+one+"/cancelDelete", d.cancelCertificateDelete)
	d.handle("GET "+inGroup+"/providers/Microsoft.Batch/batchAccounts/{account}/certificateOperationResults/{operation}", d.certificateDeletion)

	d.show(certificateType, func(ctx context.Context, who identity.Caller, id resource.ID) (any, error) {
		at := account.Address{Subscription: id.Subscription, Group: id.Group, Name: id.Names[0]}
		acct, err := d.batchAccount(ctx, who, at, "certificates", "read")
		if err != nil {
			return nil, err
		}
		_, thumbprint, err := parseCertificateName(id.Name())
		if err != nil {
			return nil, err
		}
		c, err := d.Batch.Certificate(ctx, who, acct, thumbprint)
		return showCertificate(acct, c), err
	})
}

type certificateIn struct {
	Properties struct {
		Algorithm  string `json:"thumbprintAlgorithm"`
		Thumbprint string `json:"thumbprint"`
		Format     string `json:"format"`
		Data       string `json:"data"`
		Password   string `json:"password"`
	} `json:"properties"`
}

type certificateOut struct {
	proxyOut
	Properties certificatePropertiesOut `json:"properties"`
}

// certificatePropertiesOut has neither data nor password: only what is public of a
// certificate is told.
type certificatePropertiesOut struct {
	Algorithm   string          `json:"thumbprintAlgorithm"`
	Thumbprint  string          `json:"thumbprint"`
	Format      string          `json:"format"`
	State       string          `json:"provisioningState"`
	StateAt     time.Time       `json:"provisioningStateTransitionTime"`
	Previous    string          `json:"previousProvisioningState,omitempty"`
	PreviousAt  *time.Time      `json:"previousProvisioningStateTransitionTime,omitempty"`
	PublicData  string          `json:"publicData"`
	DeleteError *deleteErrorOut `json:"deleteCertificateError,omitempty"`
}

type deleteErrorOut struct {
	Code    string           `json:"code"`
	Message string           `json:"message"`
	Target  string           `json:"target"`
	Details []detailedErrOut `json:"details,omitempty"`
}

var formats = words{"Pfx", "Cer"}

// certificateStates are Resource Manager's words for the states of certificates.
var certificateStates = map[string]string{"active": "Succeeded", "deleting": "Deleting", "deletefailed": "Failed"}

func showCertificate(acct batch.Account, c batch.Certificate) certificateOut {
	name := c.Algorithm + "-" + c.Thumbprint
	out := certificateOut{
		proxyOut: proxyOut{ID: acct.ID + "/certificates/" + name, Name: name, Type: certificateType, ETag: rest.ETag(c.Modified)},
		Properties: certificatePropertiesOut{
			Algorithm: c.Algorithm, Thumbprint: c.Thumbprint, Format: formats.spell(c.Format),
			State: certificateStates[c.State], StateAt: instant(c.StateAt), Previous: certificateStates[c.Previous], PreviousAt: moment(c.PreviousAt),
			PublicData: c.PublicData,
		},
	}
	if e := c.DeleteError; e != nil {
		out.Properties.DeleteError = &deleteErrorOut{e.Code, e.Message, "BatchAccount", detailsOut(e.Details)}
	}
	return out
}

// certificateProperties are what a list of certificates can be filtered by.
var certificateProperties = []string{"name", "properties/provisioningState", "properties/provisioningStateTransitionTime"}

func certificateProperty(c batch.Certificate, name string) string {
	switch name {
	case "name":
		return c.Algorithm + "-" + c.Thumbprint
	case "properties/provisioningState":
		return certificateStates[c.State]
	}
	return filtered(c.StateAt)
}

var certificateName = regexp.MustCompile(`^(\w+)-(\w+)$`)

// parseCertificateName takes a name apart: the algorithm and the thumbprint.
func parseCertificateName(name string) (algorithm, thumbprint string, err error) {
	m := certificateName.FindStringSubmatch(name)
	if m == nil || len(name) < 5 || len(name) > 45 {
		return "", "", fault.InvalidResourceName.New("The certificate name '%.64s' is invalid. "+
			"It must be the thumbprint algorithm and the thumbprint, separated by a hyphen, such as sha1-0a0e4f50d51beadeac1d35afc5116098e7902e6e.", name)
	}
	return m[1], m[2], nil
}

// certificatePlace finds what a request is about: the account, the algorithm and the
// thumbprint.
func (d *Door) certificatePlace(r *http.Request, who identity.Caller, verb string) (acct batch.Account, algorithm, thumbprint string, err error) {
	if acct, err = d.batchAccount(r.Context(), who, accountAddress(r), "certificates", verb); err == nil {
		algorithm, thumbprint, err = parseCertificateName(r.PathValue("certificate"))
	}
	return acct, algorithm, thumbprint, err
}

// spec returns the certificate that a body gives, which must be the one that the
// request's path names.
func (in certificateIn) spec(algorithm, thumbprint string) (batch.CertificateSpec, error) {
	p := in.Properties
	const reason = "it is not what the name of the certificate says"
	if p.Algorithm != "" && !resource.Equal(p.Algorithm, algorithm) {
		return batch.CertificateSpec{}, batch.BadProperty("properties.thumbprintAlgorithm", p.Algorithm, reason)
	}
	if p.Thumbprint != "" && !resource.Equal(p.Thumbprint, thumbprint) {
		return batch.CertificateSpec{}, batch.BadProperty("properties.thumbprint", p.Thumbprint, reason)
	}
	if p.Format != "" && !formats.has(p.Format) {
		return batch.CertificateSpec{}, batch.BadProperty("properties.format", p.Format, "it must be one of "+strings.Join(formats, ", "))
	}
	return batch.CertificateSpec{
		Thumbprint: thumbprint, Algorithm: algorithm, Data: p.Data, Format: resource.Fold(p.Format), Password: p.Password,
	}, nil
}

// putCertificate adds a certificate or replaces one.
func (d *Door) putCertificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, algorithm, thumbprint, err := d.certificatePlace(r, who, "write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in certificateIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	spec, err := in.spec(algorithm, thumbprint)
	if err != nil {
		return rest.Reply{}, err
	}
	if spec.Data == "" {
		return rest.Reply{}, batch.NoProperty("properties.data")
	}
	if spec.Format == "" {
		spec.Format = "pfx"
	}
	c, _, err := d.Batch.ReplaceCertificate(r.Context(), who, acct, spec, condition(r))
	return certificateReply(acct, c, err)
}

// patchCertificate gives a certificate that is there other data or another password.
func (d *Door) patchCertificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, algorithm, thumbprint, err := d.certificatePlace(r, who, "write")
	if err != nil {
		return rest.Reply{}, err
	}
	var in certificateIn
	if err := rest.Decode(r, &in); err != nil {
		return rest.Reply{}, err
	}
	spec, err := in.spec(algorithm, thumbprint)
	if err != nil {
		return rest.Reply{}, err
	}
	there := func(version uint64, at time.Time) error {
		if version == 0 {
			return fault.CertificateNotFound.New("The specified certificate '%s' does not exist.", r.PathValue("certificate"))
		}
		return condition(r)(version, at)
	}
	if spec.Data == "" && spec.Password == "" && spec.Format == "" {
		// Nothing is said, so nothing changes.
		c, err := d.Batch.Certificate(r.Context(), who, acct, thumbprint)
		if err == nil {
			err = there(c.Modified, modified(c.Modified))
		}
		return certificateReply(acct, c, err)
	}
	c, _, err := d.Batch.ReplaceCertificate(r.Context(), who, acct, spec, there)
	return certificateReply(acct, c, err)
}

// certificateReply answers with a certificate, unless there is a failure.
func certificateReply(acct batch.Account, c batch.Certificate, failure error) (rest.Reply, error) {
	if failure != nil {
		return rest.Reply{}, inProperties(failure)
	}
	out := showCertificate(acct, c)
	return rest.OK(out).With("ETag", out.ETag), nil
}

func (d *Door) certificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, _, thumbprint, err := d.certificatePlace(r, who, "read")
	if err != nil {
		return rest.Reply{}, err
	}
	c, err := d.Batch.Certificate(r.Context(), who, acct, thumbprint)
	return certificateReply(acct, c, err)
}

func (d *Door) certificates(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "certificates", "read")
	if err != nil {
		return rest.Reply{}, err
	}
	want, err := listing(r, certificateProperties, certificateProperty)
	if err != nil {
		return rest.Reply{}, err
	}
	certificates, next, err := d.Batch.Certificates(r.Context(), who, acct, want.List)
	if err != nil {
		return rest.Reply{}, err
	}
	out := list[selectedOut]{Value: make([]selectedOut, 0, len(certificates)), NextLink: d.nextPage(r, next)}
	for _, c := range certificates {
		shown := showCertificate(acct, c)
		item, err := want.choose(shown.proxyOut, nil, shown.Properties)
		if err != nil {
			return rest.Reply{}, err
		}
		out.Value = append(out.Value, item)
	}
	return rest.OK(out), nil
}

// deleteCertificate answers 202, and 204 if there is no such certificate. Whether a
// pool uses it comes out later.
func (d *Door) deleteCertificate(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, _, thumbprint, err := d.certificatePlace(r, who, "delete")
	if err != nil {
		return rest.Reply{}, err
	}
	what := deletionOf(r.PathValue("certificate"))
	err = d.Batch.DeleteCertificate(r.Context(), who, acct, thumbprint)
	switch {
	case errors.Is(err, fault.CertificateNotFound):
		return rest.Status(http.StatusNoContent), nil
	case err != nil && !errors.Is(err, fault.CertificateBeingDeleted):
		return rest.Reply{}, err
	}
	return d.deleting(r, acct, "certificateOperationResults", what), nil
}

// certificateDeletion says whether a deleted certificate is gone, or why it is not.
func (d *Door) certificateDeletion(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, err := d.batchAccount(r.Context(), who, accountAddress(r), "certificates", "read")
	if errors.Is(err, fault.ParentNotFound) {
		return rest.Status(http.StatusOK), nil
	}
	if err != nil {
		return rest.Reply{}, err
	}
	what, err := parseDeletion(r.PathValue("operation"))
	if err != nil {
		return rest.Reply{}, err
	}
	_, thumbprint, err := parseCertificateName(what.name)
	if err != nil {
		return rest.Reply{}, err
	}
	c, err := d.Batch.Certificate(r.Context(), who, acct, thumbprint)
	switch {
	case errors.Is(err, fault.CertificateNotFound), err == nil && c.Created.After(what.asked):
		return rest.Status(http.StatusOK), nil
	case err != nil:
		return rest.Reply{}, err
	case c.DeleteError != nil:
		failure := fault.CertificateInUse.New("%s", c.DeleteError.Message)
		for _, v := range c.DeleteError.Details {
			failure = failure.With(v.Name, v.Value)
		}
		return rest.Reply{}, failure
	case c.State != "deleting":
		// Somebody cancelled the deletion.
		return rest.Reply{}, fault.Conflict.New("The deletion of the certificate '%s' was cancelled.", what.name)
	}
	return d.deleting(r, acct, "certificateOperationResults", what), nil
}

func (d *Door) cancelCertificateDelete(r *http.Request, who identity.Caller) (rest.Reply, error) {
	acct, _, thumbprint, err := d.certificatePlace(r, who, "write")
	if err != nil {
		return rest.Reply{}, err
	}
	if err := d.Batch.CancelCertificateDelete(r.Context(), who, acct, thumbprint); err != nil {
		return rest.Reply{}, err
	}
	c, err := d.Batch.Certificate(r.Context(), who, acct, thumbprint)
	return certificateReply(acct, c, err)
}
