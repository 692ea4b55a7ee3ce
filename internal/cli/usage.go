package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	// sectionKey annotates a flag with the heading that the help shows it under.
	sectionKey = "laterna.dev/section"
	// helpWidth is where descriptions of flags are broken.
	helpWidth = 110
)

// section defines flags that the help shows under a heading of their own, in the
// order of their definition.
func section(fs *pflag.FlagSet, heading string, define func(*pflag.FlagSet)) {
	part := pflag.NewFlagSet(heading, pflag.ContinueOnError)
	part.SortFlags = false
	define(part)
	part.VisitAll(func(f *pflag.Flag) { f.Annotations = map[string][]string{sectionKey: {heading}} })
	fs.AddFlagSet(part)
}

// printUsage is what the help shows after the description.
func printUsage(cmd *cobra.Command) error {
	out := cmd.OutOrStderr()
	fmt.Fprintf(out, "Usage:\n")
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "  %s COMMAND\n", cmd.CommandPath())
	} else {
		fmt.Fprintf(out, "  %s\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		fmt.Fprintf(out, "\nExamples:\n%s\n", strings.TrimRight(cmd.Example, "\n"))
	}
	printCommands(out, cmd)
	printFlags(out, cmd.LocalFlags())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n`%s COMMAND --help` tells more about a command.\n", cmd.CommandPath())
	}
	return nil
}

// printCommands lists the commands below cmd by group.
func printCommands(out io.Writer, cmd *cobra.Command) {
	groups := append([]*cobra.Group{{Title: "Commands"}}, cmd.Groups()...)
	for _, group := range groups {
		title := "\n" + group.Title + ":\n"
		for _, sub := range cmd.Commands() {
			if sub.GroupID == group.ID && sub.IsAvailableCommand() {
				fmt.Fprintf(out, "%s  %-10s %s\n", title, sub.Name(), sub.Short)
				title = ""
			}
		}
	}
}

// printFlags lists flags by section, the sections in the order of their first flag.
func printFlags(out io.Writer, all *pflag.FlagSet) {
	var headings []string
	sections := map[string]*pflag.FlagSet{}
	all.VisitAll(func(f *pflag.Flag) {
		heading := "Flags"
		if given := f.Annotations[sectionKey]; len(given) > 0 {
			heading = given[0]
		}
		if sections[heading] == nil {
			headings = append(headings, heading)
			sections[heading] = pflag.NewFlagSet(heading, pflag.ContinueOnError)
			sections[heading].SortFlags = false
		}
		sections[heading].AddFlag(f)
	})
	for _, heading := range headings {
		fmt.Fprintf(out, "\n%s:\n%s", heading, sections[heading].FlagUsagesWrapped(helpWidth))
	}
}

// usageError is a command line that cannot be understood.
func usageError(cmd *cobra.Command, format string, args ...any) error {
	return fmt.Errorf("%s; see `%s --help`", fmt.Sprintf(format, args...), cmd.CommandPath())
}

// flagError says what is wrong with a flag in the words of a user.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return usageError(cmd, "%v", err)
	}
	wants := map[string]string{
		"bool":     "true or false",
		"int":      "a number",
		"duration": "a duration such as 90s, 30m or 24h",
	}
	f := invalid.GetFlag()
	want, known := wants[f.Value.Type()]
	if !known {
		return usageError(cmd, "--%s: %v", f.Name, errors.Unwrap(err))
	}
	return usageError(cmd, "--%s: %q is not %s", f.Name, invalid.GetValue(), want)
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, "`%s` takes no arguments, but got %q", cmd.CommandPath(), args[0])
	}
	return nil
}

// oneArg wants exactly one argument, which what names.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usageError(cmd, "`%s` needs a %s", cmd.CommandPath(), what)
		case len(args) > 1:
			return usageError(cmd, "`%s` takes one %s, but got %d arguments", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

// someArgs wants one or more arguments, which what names.
func someArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError(cmd, "`%s` needs at least one %s", cmd.CommandPath(), what)
		}
		return nil
	}
}

// parent makes cmd a command that only has others below it: alone it shows its help,
// and what it does not have is an error.
func parent(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
	return cmd
}

func unknownCommand(cmd *cobra.Command, name string) error {
	if similar := cmd.SuggestionsFor(name); len(similar) > 0 {
		return usageError(cmd, "`%s` has no command %q, did you mean %s?", cmd.CommandPath(), name, strings.Join(similar, " or "))
	}
	return usageError(cmd, "`%s` has no command %q", cmd.CommandPath(), name)
}

// newHelp is cobra's help command, except that an unknown topic is an error.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:    "help [COMMAND]",
		Short:  "Show the help of a command",
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
