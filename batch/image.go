package batch

import (
	"context"
	"strings"

	"latchkey/identity"
)

// A SupportedImage is an image that pools can be made of. All of them run on the
// host's own Linux: what an image decides is what a client expects to find, and these
// are the ones whose node agents' layout and variables our nodes have.
type SupportedImage struct {
	Image        Image
	NodeAgent    string
	OSType       string
	Capabilities []string
	Verified     bool
}

var supportedImages = []SupportedImage{
	{Image{Publisher: "canonical", Offer: "ubuntu-24_04-lts", SKU: "server", Version: "latest"}, "batch.node.ubuntu 24.04", "linux", nil, true},
	{Image{Publisher: "canonical", Offer: "0001-com-ubuntu-server-jammy", SKU: "22_04-lts", Version: "latest"}, "batch.node.ubuntu 22.04", "linux", nil, true},
	{Image{Publisher: "debian", Offer: "debian-12", SKU: "12", Version: "latest"}, "batch.node.debian 12", "linux", nil, true},
	{Image{Publisher: "debian", Offer: "debian-12", SKU: "12-gen2", Version: "latest"}, "batch.node.debian 12", "linux", nil, true},
}

// SupportedImages lists the images, in one page.
func (s *Service) SupportedImages(ctx context.Context, who identity.Caller, acct Account, keep func(SupportedImage) bool) ([]SupportedImage, error) {
	if err := s.require(ctx, who, acct, readPools); err != nil {
		return nil, err
	}
	var out []SupportedImage
	for _, i := range supportedImages {
		if keep == nil || keep(i) {
			out = append(out, i)
		}
	}
	return out, nil
}

// windows reports whether an image is one of Windows, which no node here can run.
func (i Image) windows() bool { return strings.Contains(strings.ToLower(i.Publisher), "windows") }
