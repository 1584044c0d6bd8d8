// Renders many charts in one process: built together with Helm's own command (rendering.sh), whose code it calls as
// `helm template` does. Each line of standard input is a JSON array of the arguments behind `template`, each line of
// standard output the answer to one.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"

	"helm.sh/helm/v3/pkg/action"
)

type answer struct {
	// Bytes, which need not be UTF-8: JSON has them as base64.
	Output []byte
	// Empty when there is none.
	Error string
}

func init() {
	if len(os.Args) != 2 || os.Args[1] != "batch" {
		return
	}
	log.SetOutput(io.Discard)
	requests := bufio.NewReaderSize(os.Stdin, 1<<20)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := requests.ReadBytes('\n')
		if err != nil {
			os.Exit(0)
		}
		var arguments []string
		if err := json.Unmarshal(line, &arguments); err != nil {
			log.Fatal(err)
		}
		if err := answers.Encode(render(arguments)); err != nil {
			os.Exit(1)
		}
	}
}

func render(arguments []string) (result answer) {
	defer func() {
		if failure := recover(); failure != nil {
			result = answer{Error: fmt.Sprint("panic: ", failure)}
		}
	}()
	configuration := new(action.Configuration)
	if err := configuration.Init(settings.RESTClientGetter(), settings.Namespace(), "memory", debug); err != nil {
		return answer{Error: err.Error()}
	}
	var output bytes.Buffer
	command := newTemplateCmd(configuration, &output)
	command.SetArgs(arguments)
	command.SilenceErrors, command.SilenceUsage = true, true
	if err := command.Execute(); err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Output: output.Bytes()}
}
