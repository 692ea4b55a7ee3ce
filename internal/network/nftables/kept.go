package nftables

import (
	"context"
	"errors"
	"slices"
	"strings"

	"sigs.k8s.io/knftables"
)

// Kept is a table whose rules stay as they are and whose elements come and go. Its methods
// are not called concurrently.
type Kept struct {
	Family knftables.Family
	Name   string
	// Rules adds all but the elements to a table that is empty.
	Rules func(tx *knftables.Transaction)

	nft knftables.Interface // nil until the first use, since making it runs nft twice
	// elements are those of its sets and maps, by the text that Listing has of them, and
	// rules the listing of the rest after the table was last written; nil when it never was.
	elements map[string]*knftables.Element
	rules    []string
}

// Set makes the elements those that are wanted, by the text that Listing has of them, in one
// transaction; where there is nothing to change nft is not run. The table is written whole
// where it never was, and anew when that is asked for, whatever is there.
func (k *Kept) Set(ctx context.Context, want map[string]*knftables.Element, anew bool) (err error) {
	if k.nft == nil {
		if k.nft, err = knftables.New(k.Family, k.Name); err != nil {
			return err
		}
	}
	anew = anew || k.rules == nil
	tx := k.nft.NewTransaction()
	if anew {
		tx.Add(&knftables.Table{})
		tx.Delete(&knftables.Table{})
		k.Rules(tx)
	}
	// What is gone goes first: a map has one element of a key.
	for text, e := range k.elements {
		if !anew && want[text] == nil {
			tx.Delete(e)
		}
	}
	for text, e := range want {
		if anew || k.elements[text] == nil {
			tx.Add(e)
		}
	}
	if tx.NumOperations() == 0 {
		return nil
	}
	if err := k.nft.Run(ctx, tx); err != nil {
		k.rules = nil // somebody may have removed the table: the next time all of it is written
		return err
	}
	k.elements = want
	if !anew {
		return nil
	}
	lines, err := Listing(ctx, k.Family, k.Name)
	if err != nil {
		return err
	}
	k.rules, _ = split(lines, want)
	return nil
}

// Remove removes the table. It is no error when there is none.
func (k *Kept) Remove(ctx context.Context) error {
	k.rules, k.elements = nil, nil
	return Remove(ctx, k.Family, k.Name)
}

// Written tells whether the table was written and not removed since.
func (k *Kept) Written() bool { return k.rules != nil }

// split takes the lines of a listing apart: those of elements that are wanted are counted,
// the rest, rules and elements of others, is returned.
func split(lines []string, want map[string]*knftables.Element) (rules []string, found int) {
	for _, l := range lines {
		if want[strings.ReplaceAll(l, `"`, "")] != nil {
			found++
			continue
		}
		rules = append(rules, l)
	}
	return rules, found
}

// Intact tells whether the table is as it was last written. Somebody else may have removed
// or flushed it, or taken out a rule or an element.
func (k *Kept) Intact(ctx context.Context) (bool, error) {
	now, err := Listing(ctx, k.Family, k.Name)
	if errors.Is(err, ErrNoTable) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	rules, found := split(now, k.elements)
	return found == len(k.elements) && slices.Equal(rules, k.rules), nil
}
