// The operands of a C loop; see Operands in package clib.
struct operands {
	float *a, *b;           // inputs
	float *c, *d, *e, *f;   // outputs
	float *row, *col;       // inputs of m and n elements
	float *index;           // input of whole numbers, or their memory
	long m, n, k;           // vectors have m*n elements
	float s[12];            // scalars
	int trans_a, trans_b;   // forms of a product
	float out[2];           // numbers returned
};
