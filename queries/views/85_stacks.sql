-- stacks   Stacks as flame graphs want them.
--
-- Needs: nothing

CREATE OR REPLACE MACRO folded_name(text) AS
-- A name without what separates frames, columns or rows.
  regexp_replace(text, '[;,"\s]', '_', 'g');

CREATE OR REPLACE MACRO folded_stack(ustack, kstack) AS
-- caller;…;callee: the user's functions, then the kernel's, [unknown] if neither.
  coalesce(
    nullif(array_to_string(
      list_transform(
        list_reverse(list_filter(
          string_split(kstack || chr(10) || ustack, chr(10)),
          lambda line: line <> '')),
        lambda line: folded_name(line)),
      ';'), ''),
    '[unknown]');
