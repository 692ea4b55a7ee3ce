package queryapi

import (
	"slices"

	"laterna.dev/laterna/internal/aws/iam"
	"laterna.dev/laterna/internal/aws/query"
)

func tagProvider(r *request) (any, error) {
	text, n, valid := r.providerARN()
	tags, validTags := r.tags(false)
	if err := r.checked(valid, validTags); err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, invalidInput("Tags must contain at least one entry.")
	}
	return nil, r.change(text, n, tags, func(p *iam.Provider) error {
		for _, t := range tags {
			p.Tags = slices.DeleteFunc(p.Tags, func(other iam.Tag) bool { return other.Key == t.Key })
			p.Tags = append(p.Tags, t)
		}
		if len(p.Tags) > iam.MaxTags {
			return limitExceeded("The number of tags has reached the maximum limit.")
		}
		iam.SortTags(p.Tags)
		return nil
	})
}

func untagProvider(r *request) (any, error) {
	text, n, valid := r.providerARN()
	keys := r.Texts("TagKeys", iam.MaxTags, query.Text{Min: 1, Max: iam.MaxTagKey, Pattern: r.api.patterns.tagKey})
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	return nil, r.change(text, n, nil, func(p *iam.Provider) error {
		p.Tags = slices.DeleteFunc(p.Tags, func(t iam.Tag) bool { return slices.Contains(keys, t.Key) })
		return nil
	})
}

type tagsResult struct {
	pageOf
	Tags *query.List[tagXML] `xml:"Tags"`
}

func listProviderTags(r *request) (any, error) {
	text, n, valid := r.providerARN()
	after, limit := r.page()
	if err := r.checked(valid); err != nil {
		return nil, err
	}
	p, err := r.provider(text, n, noProvider(text))
	if err != nil {
		return nil, err
	}
	last, err := after()
	if err != nil {
		return nil, err
	}
	page, rest := cut(p.Tags, last, limit, func(t iam.Tag) string { return t.Key })
	return tagsResult{rest, tagList(page)}, nil
}
