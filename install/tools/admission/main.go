// Evaluates a ValidatingAdmissionPolicy on objects, with the packages of the API server: admission POLICY.yaml < OBJECTS.
//
// The input is a list of {"object": ..., "oldObject": ...}; the output is a list of judgements.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/version"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
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

// The parts of a policy, compiled as by compilePolicy of the plugin, which is not exported.
type compiled struct {
	matcher     matchconditions.Matcher
	validations cel.ConditionEvaluator
	validator   validating.Validator
}

var variables = cel.OptionalVariableDeclarations{HasAuthorizer: true}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	var policy v1.ValidatingAdmissionPolicy
	first, _, _ := strings.Cut(string(text), "\n---\n")
	if err := yaml.UnmarshalStrict([]byte(first), &policy); err != nil {
		return err
	}
	var requests []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		return err
	}
	// The policy must compile in the oldest Kubernetes with ValidatingAdmissionPolicy v1.
	if _, err := compile(&policy, version.MajorMinor(1, 30)); err != nil {
		return fmt.Errorf("Kubernetes 1.30: %w", err)
	}
	policyCompiled, err := compile(&policy, environment.DefaultCompatibilityVersion())
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

func compile(policy *v1.ValidatingAdmissionPolicy, kubernetes *version.Version) (*compiled, error) {
	compiler, err := cel.NewCompositedCompiler(environment.MustBaseEnvSet(kubernetes))
	if err != nil {
		return nil, err
	}
	// The API server rejects a policy in which an expression does not compile.
	check := func(name string, expression cel.ExpressionAccessor) error {
		if result := compiler.CompileCELExpression(expression, variables, environment.NewExpressions); result.Error != nil {
			return fmt.Errorf("%s: %s", name, result.Error.Detail)
		}
		return nil
	}
	for _, variable := range policy.Spec.Variables {
		accessor := &validating.Variable{Name: variable.Name, Expression: variable.Expression}
		if result := compiler.CompileAndStoreVariable(accessor, variables, environment.NewExpressions); result.Error != nil {
			return nil, fmt.Errorf("variable %s: %s", variable.Name, result.Error.Detail)
		}
	}
	var conditions, validations, messages []cel.ExpressionAccessor
	for i := range policy.Spec.MatchConditions {
		conditions = append(conditions, (*matchconditions.MatchCondition)(&policy.Spec.MatchConditions[i]))
	}
	for _, validation := range policy.Spec.Validations {
		validations = append(validations, &validating.ValidationCondition{Expression: validation.Expression})
		messages = append(messages, &validating.MessageExpressionCondition{MessageExpression: validation.MessageExpression})
	}
	for _, expressions := range [][]cel.ExpressionAccessor{conditions, validations, messages} {
		for _, expression := range expressions {
			if err := check("expression", expression); err != nil {
				return nil, err
			}
		}
	}
	stored := environment.StoredExpressions
	fail := policy.Spec.FailurePolicy
	matcher := matchconditions.NewMatcher(compiler.CompileCondition(conditions, variables, stored), fail, "policy", "validate", policy.Name)
	evaluator := compiler.CompileCondition(validations, variables, stored)
	return &compiled{
		matcher:     matcher,
		validations: evaluator,
		validator: validating.NewValidator(evaluator, matcher, compiler.CompileCondition(nil, variables, stored),
			compiler.CompileCondition(messages, cel.OptionalVariableDeclarations{}, stored), fail, nil),
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
	versioned := &admission.VersionedAttributes{Attributes: attributes, VersionedKind: kind, VersionedObject: object, VersionedOldObject: oldObject}
	ctx := context.Background()
	matched := policy.matcher.Match(ctx, versioned, nil, nil)
	if matched.Error != nil {
		return judgement{Matched: true, Message: "match condition: " + matched.Error.Error()}, nil
	}
	result := judgement{Matched: matched.Matches, Admitted: true}
	for _, decision := range policy.validator.Validate(ctx, resource, versioned, nil, nil, celconfig.RuntimeCELCostBudget, nil).Decisions {
		// The API server shows the first denial.
		if decision.Action == validating.ActionDeny && result.Admitted {
			result.Admitted, result.Message = false, decision.Message
		}
	}
	_, remaining, _ := policy.validations.ForInput(ctx, versioned, cel.CreateAdmissionRequest(attributes, metav1.GroupVersionResource(resource), metav1.GroupVersionKind(kind)),
		cel.OptionalVariableBindings{}, nil, celconfig.RuntimeCELCostBudget)
	result.Cost = celconfig.RuntimeCELCostBudget - remaining
	return result, nil
}

func member(wrapper unstructured.Unstructured, name string) (*unstructured.Unstructured, error) {
	content, found, err := unstructured.NestedMap(wrapper.Object, "request", name)
	if err != nil || !found {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}
