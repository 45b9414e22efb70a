package subscription

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"latchkey/fault"
	"latchkey/resource"
)

// The limits of tags, as Azure has them for all resources and groups.
const (
	maxTags     = 50
	maxTagName  = 512
	maxTagValue = 256
)

// CheckTags fails with a fault if tags break Azure's rules. Names compare without
// case, so no two may differ by it alone.
func CheckTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return fault.InvalidTags.New("The number of tags '%d' exceeds the maximum of '%d' for a resource.", len(tags), maxTags)
	}
	seen := map[string]string{}
	for name, value := range tags {
		folded := resource.Fold(name)
		other, twice := seen[folded]
		seen[folded] = name
		var why string
		switch {
		case name == "":
			why = "a tag must have a name"
		case utf8.RuneCountInString(name) > maxTagName:
			why = fmt.Sprintf("the tag name '%.40s…' is longer than %d characters", name, maxTagName)
		case utf8.RuneCountInString(value) > maxTagValue:
			why = fmt.Sprintf("the value of the tag '%.40s' is longer than %d characters", name, maxTagValue)
		case twice:
			why = fmt.Sprintf("the tag names '%s' and '%s' differ only by case", min(name, other), max(name, other))
		case strings.HasPrefix(folded, "microsoft") || strings.HasPrefix(folded, "azure") || strings.HasPrefix(folded, "windows"):
			why = fmt.Sprintf("the tag name '%s' begins with a reserved word: 'microsoft', 'azure' or 'windows'", name)
		case strings.ContainsAny(name, `<>%&\?/`) || strings.ContainsFunc(name, unicode.IsControl):
			return fault.InvalidTagNameCharacters.New(`The tag names '%s' have reserved characters '<,>,%%,&,\,?,/' or control characters.`, name)
		}
		if why != "" {
			return fault.InvalidTags.New("The tags are invalid: %s.", why)
		}
	}
	return nil
}
