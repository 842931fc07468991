// Evaluates a ValidatingAdmissionPolicy with the packages of the API server.
//
//	admission POLICY.yaml < OBJECTS    judges objects: {"object": ..., "oldObject": ...} in a list gives a list of judgements
//	admission --check POLICY.yaml      checks its expressions as the API server does before it stores a policy
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	celgo "github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	"sigs.k8s.io/yaml"
)

type judgement struct {
	Matched  bool   `json:"matched"`
	Admitted bool   `json:"admitted"`
	Message  string `json:"message"`
	// The cost of the validations and variables; the API server allows 10,000,000, and 1,000,000 for each expression.
	Cost int64 `json:"cost"`
}

// The parts of a policy, compiled as by compilePolicy of the plugin, which is not exported. The plugin's own package is not
// imported, because it needs all of client-go: 1,079 packages in place of 487.
type compiled struct {
	matcher     matchconditions.Matcher
	validations cel.ConditionEvaluator
	messages    cel.ConditionEvaluator
	own         []string
}

type expression struct {
	name string
	text string
	of   []*celgo.Type
}

func (e *expression) GetName() string            { return e.name }
func (e *expression) GetExpression() string      { return e.text }
func (e *expression) ReturnTypes() []*celgo.Type { return e.of }

var variables = cel.OptionalVariableDeclarations{HasAuthorizer: true}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	onlyCheck := len(os.Args) == 3 && os.Args[1] == "--check"
	if len(os.Args) != 2 && !onlyCheck {
		return fmt.Errorf("usage: admission [--check] POLICY.yaml")
	}
	text, err := os.ReadFile(os.Args[len(os.Args)-1])
	if err != nil {
		return err
	}
	var policy v1.ValidatingAdmissionPolicy
	first, _, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.UnmarshalStrict([]byte(first), &policy); err != nil {
		return err
	}
	if policy.Spec.FailurePolicy == nil || *policy.Spec.FailurePolicy != v1.Fail {
		return fmt.Errorf("failurePolicy must be Fail: errors are judged as denials here")
	}
	if onlyCheck {
		// The oldest Kubernetes with ValidatingAdmissionPolicy v1, and the newest that these packages know.
		for _, kubernetes := range []*version.Version{version.MajorMinor(1, 30), environment.DefaultCompatibilityVersion()} {
			if err := check(&policy, kubernetes); err != nil {
				return fmt.Errorf("Kubernetes %s: %w", kubernetes, err)
			}
		}
		return nil
	}
	var requests []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	policyCompiled, err := compile(&policy)
	if err != nil {
		return err
	}
	judgements := []judgement{}
	for _, raw := range requests {
		one, err := judge(policyCompiled, raw)
		if err != nil {
			return err
		}
		judgements = append(judgements, one)
	}
	return json.NewEncoder(os.Stdout).Encode(judgements)
}

// The compiler for a version of Kubernetes, which knows the variables of the policy.
func compiler(policy *v1.ValidatingAdmissionPolicy, kubernetes *version.Version) (*cel.CompositedCompiler, error) {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(kubernetes))
	if err != nil {
		return nil, err
	}
	for _, variable := range policy.Spec.Variables {
		accessor := &expression{variable.Name, variable.Expression, []*celgo.Type{celgo.AnyType, celgo.DynType}}
		if result := compiler.CompileAndStoreVariable(accessor, variables, environment.NewExpressions); result.Error != nil {
			return nil, fmt.Errorf("variable %s: %s", variable.Name, result.Error.Detail)
		}
	}
	return compiler, nil
}

func check(policy *v1.ValidatingAdmissionPolicy, kubernetes *version.Version) error {
	compiler, err := compiler(policy, kubernetes)
	if err != nil {
		return err
	}
	conditions, validations, messages, _, err := expressions(policy)
	if err != nil {
		return err
	}
	for _, expression := range slices.Concat(conditions, validations, messages) {
		if result := compiler.CompileCELExpression(expression, variables, environment.NewExpressions); result.Error != nil {
			return fmt.Errorf("expression: %s", result.Error.Detail)
		}
	}
	return nil
}

// The match conditions, the validations, their message expressions, and the messages where those give none.
func expressions(policy *v1.ValidatingAdmissionPolicy) (conditions, validations, messages []cel.ExpressionAccessor, own []string, err error) {
	for i := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i]))
	}
	for _, validation := range policy.Spec.Validations {
		if validation.MessageExpression == "" {
			return nil, nil, nil, nil, fmt.Errorf("a validation needs a message expression: %s", validation.Expression)
		}
		validations = append(validations, &expression{"", validation.Expression, []*celgo.Type{celgo.BoolType}})
		messages = append(messages, &expression{"", validation.MessageExpression, []*celgo.Type{celgo.StringType}})
		own = append(own, cmp.Or(strings.TrimSpace(validation.Message), "failed expression: "+strings.TrimSpace(validation.Expression)))
	}
	return conditions, validations, messages, own, nil
}

func compile(policy *v1.ValidatingAdmissionPolicy) (*compiled, error) {
	compiler, err := compiler(policy, environment.DefaultCompatibilityVersion())
	if err != nil {
		return nil, err
	}
	conditions, validations, messages, own, err := expressions(policy)
	if err != nil {
		return nil, err
	}
	stored := environment.StoredExpressions
	fail := policy.Spec.FailurePolicy
	matcher := matchconditions.NewMatcher(compiler.CompileCondition(conditions, variables, stored), fail, "policy", "validate", policy.Name)
	return &compiled{
		matcher:     matcher,
		validations: compiler.CompileCondition(validations, variables, stored),
		messages:    compiler.CompileCondition(messages, cel.OptionalVariableDeclarations{}, stored),
		own:         own,
	}, nil
}

func judge(policy *compiled, raw json.RawMessage) (judgement, error) {
	// As the API server decodes custom resources: whole numbers as int64.
	var wrapper unstructured.Unstructured
	if err := wrapper.UnmarshalJSON([]byte(`{"apiVersion": "v1", "kind": "Request", "request": ` + string(raw) + `}`)); err != nil {
		return judgement{}, err
	}
	object, err := member(wrapper, "object")
	if err != nil || object == nil {
		return judgement{}, fmt.Errorf("object: %v", err)
	}
	old, err := member(wrapper, "oldObject")
	if err != nil {
		return judgement{}, err
	}
	kind := object.GroupVersionKind()
	resource := schema.GroupVersionResource{Group: kind.Group, Version: kind.Version, Resource: strings.ToLower(kind.Kind) + "s"}
	operation, oldObject := admission.Create, runtime.Object(nil)
	if old != nil {
		operation, oldObject = admission.Update, old
	}
	attributes := admission.NewAttributesRecord(object, oldObject, kind, object.GetNamespace(), object.GetName(), resource, "", operation, nil, false, nil)
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: kind, VersionedObject: admission.NewLazyObject(object), VersionedOldObject: admission.NewLazyObject(oldObject)}
	ctx := context.Background()
	matched := policy.matcher.Match(ctx, versioned, nil, nil)
	if matched.Error != nil {
		return judgement{Matched: true, Message: "match condition: " + matched.Error.Error()}, nil
	}
	result := judgement{Matched: matched.Matches, Admitted: true}
	if !matched.Matches {
		return result, nil
	}
	request := cel.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(resource), metav1.GroupVersionKind(kind))
	evaluate := func(evaluator cel.ConditionEvaluator, budget int64) ([]cel.EvaluationResult, int64, error) {
		return evaluator.ForInput(ctx, versioned, request, cel.OptionalVariableBindings{}, nil, budget)
	}
	values, remaining, err := evaluate(policy.validations, celconfig.RuntimeCELCostBudget)
	result.Cost = celconfig.RuntimeCELCostBudget - remaining
	if err != nil {
		result.Admitted, result.Message = false, err.Error()
		return result, nil
	}
	messages, _, err := evaluate(policy.messages, remaining)
	if err != nil {
		result.Admitted, result.Message = false, "failed messageExpression: "+err.Error()
		return result, nil
	}
	for i, value := range values {
		// The API server shows the first denial.
		if value.Error != nil {
			result.Admitted, result.Message = false, value.Error.Error()
			break
		} else if value.EvalResult != types.True {
			result.Admitted, result.Message = false, message(messages[i], policy.own[i])
			break
		}
	}
	return result, nil
}

// The message of a denial: what the expression gives, if it is one line of at most 5 KiB, or else `own`.
func message(of cel.EvaluationResult, own string) string {
	if of.Error == nil && of.EvalResult != nil {
		if text, ok := of.EvalResult.Value().(string); ok {
			text = strings.TrimSpace(text)
			if text != "" && len(text) <= celconfig.MaxEvaluatedMessageExpressionSizeBytes && !strings.Contains(text, "\n") {
				return text
			}
		}
	}
	return own
}

func member(wrapper unstructured.Unstructured, name string) (*unstructured.Unstructured, error) {
	content, found, err := unstructured.NestedMap(wrapper.Object, "request", name)
	if err != nil || !found {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}
