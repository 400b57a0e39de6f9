package manifest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/config/crd"
	"workorders.dev/operator/controllers/plan"
)

// Finding is something that is wrong with an order, or hardly meant.
type Finding struct {
	Line           int
	Field, Message string
	// Warning says that the order is taken all the same.
	Warning bool
}

// rules are what the API server knows of work orders.
type rules struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	cel        *cel.Validator
}

// shipped are the rules of the definition that this program was built with.
var shipped = sync.OnceValues(func() (*rules, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(crd.WorkOrders, definition); err != nil {
		return nil, err
	}
	internal := &apiextensions.JSONSchemaProps{}
	props := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(props, internal, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(internal)
	if err != nil {
		return nil, err
	}
	validator, _, err := validation.NewSchemaValidator(internal)
	if err != nil {
		return nil, err
	}
	return &rules{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
})

// Check says what is wrong with the order, by line. Like an API server, it looks at what the order means only if what
// it says is in order.
func (d *Document) Check() ([]Finding, error) {
	r, err := shipped()
	if err != nil {
		return nil, fmt.Errorf("read the definition of WorkOrder: %w", err)
	}
	found := d.identity()
	content := runtime.DeepCopyJSON(d.Content)
	for _, unknown := range pruning.PruneWithOptions(content, r.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		found = append(found, Finding{d.at(unknown), unknown, "this field is not known: take it out, or mend its name", false})
	}
	defaulting.Default(content, r.structural)
	nameIt(content)
	invalid := validation.ValidateCustomResource(nil, content, r.schema)
	invalid = append(invalid, listtype.ValidateListSetsAndMaps(nil, r.structural, content)...)
	if len(invalid) == 0 { // Rules presume the types that the schema asks for.
		broken, _ := r.cel.Validate(context.Background(), nil, r.structural, content, nil, celconfig.RuntimeCELCostBudget)
		invalid = broken
	}
	for _, problem := range invalid {
		if problem.Field == (*field.Path)(nil).String() {
			problem.Field = "" // It is about the object as a whole.
		}
		found = append(found, Finding{d.at(problem.Field), problem.Field, sentence(problem), false})
	}
	if len(found) == 0 {
		found = d.meaning()
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(a.Line, b.Line) })
	return slices.Compact(found), nil
}

// nameIt gives an order the name that an API server would make, before the rules are asked: they may ask for one.
func nameIt(content map[string]any) {
	metadata, _ := content["metadata"].(map[string]any)
	generated, _ := metadata["generateName"].(string)
	if name, _ := metadata["name"].(string); name == "" && generated != "" {
		metadata["name"] = suffixed(generated)
	}
}

// suffixed is a name as an API server makes it of metadata.generateName: it cuts that to leave room for five characters of its own,
// k8s.io/apiserver/pkg/storage/names.
func suffixed(generated string) string {
	const room = 63 - 5
	return generated[:min(len(generated), room)] + "xxxxx"
}

// identity checks what every object has.
func (d *Document) identity() (found []Finding) {
	if version := v1alpha1.GroupVersion.String(); d.Content["apiVersion"] != version {
		found = append(found, Finding{d.at("apiVersion"), "apiVersion", fmt.Sprintf("this must be %s", version), false})
	}
	metadata, _ := d.Content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	generated, _ := metadata["generateName"].(string)
	switch {
	case name == "" && generated == "":
		found = append(found, Finding{d.at("metadata"), "metadata.name", "give the order a name", false})
	case name != "":
		if len(utilvalidation.IsDNS1123Subdomain(name)) > 0 {
			found = append(found, Finding{d.at("metadata.name"), "metadata.name", "a name is made of lower-case letters, digits, hyphens and dots, and begins and ends with a letter or a digit", false})
		}
	case len(utilvalidation.IsDNS1123Subdomain(suffixed(generated))) > 0:
		found = append(found, Finding{d.at("metadata.generateName"), "metadata.generateName", "a name is made of lower-case letters, digits, hyphens and dots, and begins with a letter or a digit", false})
	}
	for _, values := range []string{"labels", "annotations"} {
		all, _ := metadata[values].(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(all)) {
			if _, isText := all[key].(string); !isText {
				at := "metadata." + values
				found = append(found, Finding{d.at(at), at, fmt.Sprintf("the value of %s is no text: put it in quotation marks", key), false})
			}
		}
	}
	return found
}

// meaning checks what the order is to do, by the code of the webhook.
func (d *Document) meaning() (found []Finding) {
	order, err := d.Order()
	if err != nil { // The schema says nothing of metadata.
		return []Finding{{d.at("metadata"), "metadata", fmt.Sprintf("this cannot be read: %v", err), false}}
	}
	for _, problem := range plan.Problems(order) {
		at := problem.Field.String()
		found = append(found, Finding{d.at(at), at, problem.Message, false})
	}
	for _, warning := range plan.Warnings(order) {
		at, message, _ := strings.Cut(warning, ": ")
		found = append(found, Finding{d.at(at), at, message, true})
	}
	return found
}

// sentence is what a problem says, without the value, which may be long, and the field, which is said beside it.
func sentence(problem *field.Error) string {
	short := *problem
	short.BadValue = field.OmitValueType{}
	text := strings.TrimPrefix(short.ErrorBody(), field.ErrorTypeInvalid.String()+": ")
	return strings.TrimPrefix(text, problem.Field+" in body ")
}
