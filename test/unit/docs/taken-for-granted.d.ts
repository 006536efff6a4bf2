/** What the pages take for given: the reader's own services, which stand in every example under the same names. */
declare const payments: {
  refund(input: { orderId: string; cents: number }, idempotencyKey: string): Promise<{ id: string }>;
  cancel(refundId: string, idempotencyKey: string): Promise<void>;
};
