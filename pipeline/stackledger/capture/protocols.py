"""stub"""
import pyarrow as pa
def name_requests(first):
    n=len(first)
    e=pa.array([""]*n, pa.string())
    return {"protocol":e,"endpoint":e,"statement":e}
def raw_bytes(first): return first.cast(pa.string()).cast(pa.binary())
def judge_answers(p,a):
    n=len(p)
    return {"status":pa.array([0]*n,pa.int16()),"error":pa.array([False]*n)}
