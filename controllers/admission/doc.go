// Package admission is the webhook that the API server asks about work orders. It refuses what no order could run by, as
// far as the schema and its rules cannot see it: circles, names of steps that there are not, expressions that do not
// compile. Its answer is what package plan says, with the field of each problem.
//
// Nothing rests on it. The API server lets orders pass that it cannot ask about (failurePolicy: Ignore), and the
// controller checks every spec again. So an order is submitted a few milliseconds later at worst, and never held up.
//
// # Who is asked about what
//
// A new order must have no problem. An edit must bring none that was not there before: an order that cannot run can
// always be cancelled, suspended or mended in part, whatever it was that let it in. Edits of metadata and status, and of
// an order that is being deleted, are none of the webhook's business.
//
// # Certificates
//
// The API server talks to the webhook by TLS and must know whose certificates to trust. The operator makes its own: an
// authority and a certificate, in one Secret; the authority it writes into the ValidatingWebhookConfiguration as its
// caBundle. Every replica serves the webhook, with what is in the Secret, and any of them may renew it: the
// resourceVersion of the Secret decides whose renewal counts.
//
// What is renewed is never needed at once. A new authority is published beside the one before, long before the first
// certificate that it signs; and a certificate is renewed while a third of its life is left.
//
// All of this is beside the operator's work. If the Secret or the configuration is missing, or the right to write them,
// that is said in the log and tried again, and orders go on.
package admission
