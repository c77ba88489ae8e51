package uk.ac.manchester.tornado.api.enums;

/** The tile shapes of the tensor-core operation: rows of A, columns of B and the shared dimension. */
public enum MMAShape {
    /** 16×8 results from 16 products each: 16-bit operands. */
    M16N8K16("m16n8k16"),
    /** 16×8 results from 32 products each: 8-bit operands. */
    M16N8K32("m16n8k32");

    private final String ptxName;

    MMAShape(String ptxName) {
        this.ptxName = ptxName;
    }

    /** Returns the shape as PTX writes it. */
    public String getPtxName() {
        return ptxName;
    }
}
